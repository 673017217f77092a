"""What every kind of feature does, from the log to what is looked at."""

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.features.request_view import RequestView
from tfmtl.schema import Problem, View


class RawColumns(Protocol):
    """The columns of a batch of the log, parsed as they are asked for; see `tfmtl.preprocessing.reading`."""

    def text(self, name: str) -> pa.Array:
        """The column as strings."""

    def number(self, name: str) -> pa.Array:
        """The column as float64."""

    def lists(self, name: str, separator: str, max_values: int, form: str = ...) -> pa.Array:
        """A column of lists, or of joined text, as lists of strings."""


@dataclass(frozen=True)
class FittedState:
    """What was fitted, as a behavior finds it.

    Args:
        statistics: `TransformStatistics`.
        vocabulary: function of a table's name that returns its lookup of texts, -1 for unknown ones.
    """

    statistics: Any
    vocabulary: Callable[[str], tf.lookup.StaticHashTable]


class FeatureBehavior(ABC):  # noqa: B024  a kind overrides what it needs: most have a default that is right
    """What is done about one feature of a problem; subclasses are one kind each.

    A value's result depends on the value alone, never on its place in a batch: sums and logarithms are computed in
    float64 and cast at the end.

    Args:
        record: the feature.
        problem: `Problem`.
    """

    def __init__(self, record: Any, problem: Problem) -> None:
        self.record: Any = record
        self.problem = problem

    @property
    def name(self) -> str:
        """The feature's name."""
        return str(self.record.name)

    # === Arrow, in preprocessing workers ===

    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        """Input key -> its values, null where missing; a row that cannot be read is rejected by `raw`.

        What becomes of a value depends on nothing but the value.
        """
        raise NotImplementedError(f"{type(self).__name__} reads no column.")

    # === What was fitted ===

    def table_rows(self, statistics: Any) -> dict[str, int]:
        """Table -> its rows, reserved ones included. Defaults to the rows that the tensors name.

        Args:
            statistics: `TransformStatistics`.
        """
        tensors = self.record.tensors(self.problem)
        return {each.table: each.rows for each in tensors if each.table is not None and each.rows is not None}

    def fit_state(self) -> dict[str, Any] | None:
        """Plain values to keep for `load`, made once on one machine. Defaults to `None`: nothing."""
        return None

    def load(self, fitted: FittedState) -> None:
        """Takes what `encode` and `derive` need of what was fitted. Defaults to nothing."""
        return

    # === TensorFlow: in workers and in the serving graph alike ===

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Input key -> `(*lead, *inner)` to encoded key -> `(*lead, *inner)`, whatever the leading axes.

        Of a list it is called with the values; those that are missing (0) are left out afterwards.
        """
        raise NotImplementedError(f"{type(self).__name__} derives its tensors from other features.")

    def derive(self, view: RequestView) -> dict[str, tf.Tensor]:
        """Encoded tensors of a feature that has no input of its own, from the other parts of a request."""
        raise NotImplementedError(f"{type(self).__name__} encodes inputs of its own.")

    # === Looking at it ===

    is_logarithmic = False
    """Whether a number is shown on a logarithmic axis, since it was scaled so."""

    def views(self, encoded: Mapping[str, np.ndarray]) -> dict[str, View]:
        """Name -> what drift, skew, report and leak check see of a batch.

        Defaults to one view a field: its ids, or its number where it has none.

        Args:
            encoded: encoded key -> `(rows, ...)`, the tensors of this feature among them.
        """
        found: dict[str, View] = {}
        for each in self.record.tensors(self.problem):
            if each.holds_ids:
                form = "lists" if each.role == "ids" else "ids"
                found[each.field] = View(form, encoded[each.key], each.table, each.is_ordered)
            elif each.role == "number":
                found.setdefault(each.field, View("numbers", encoded[each.key]))
        return found

    def describe(self, statistics: Any) -> dict[str, Any]:
        """For the data report: `size`, and `values`, the names of the ids from 2 on, where they have any.

        Args:
            statistics: `TransformStatistics`.
        """
        return {"size": "", "values": None}
