"""The base class of feature behaviors."""

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.features.decoded import Decoded
from tfmtl.features.measures import Measure, encode_measures
from tfmtl.features.once import Once
from tfmtl.features.request_view import RequestView
from tfmtl.schema import Problem, View

if TYPE_CHECKING:  # a worker that prepares data needs no Keras
    from tfmtl.features.field_layer import FieldLayer


class RawColumns(Protocol):
    """The columns of a batch of the log, parsed as they are asked for; see `tfmtl.preprocessing.reading`."""

    def text(self, name: str) -> pa.Array:
        """The column as strings."""

    def number(self, name: str) -> pa.Array:
        """The column as float64."""

    def lists(self, name: str, separator: str, max_values: int, form: str = ...) -> pa.Array:
        """A column of lists, or of joined text, as lists of strings."""

    def notice_spellings(self, name: str, texts: pa.Array) -> None:
        """Counts the forms in which texts of the column spell bools and numbers, where no vocabulary will show them."""

    def vectors(self, name: str, size: int, separator: str, has_gaps: bool = False, channels: int = 1) -> pa.Array:
        """A column of lists of numbers, or of joined ones, as lists of `size` float32.

        NaN, and lists of lists of `channels` numbers, only with `has_gaps`.
        """

    def binary(self, name: str) -> pa.Array:
        """The column as bytes, whatever they hold."""

    def reject(self, where: Any, reason: str, values: pa.Array | None = None) -> None:
        """Rejects the rows where `where` is true."""


Column = tuple[str, str]
"""What a table of counts is of: `TABLE` or `FEATURE`, and the name; features that share a column share its counts."""

TABLE, FEATURE = "table", "feature"


@dataclass(frozen=True)
class FeatureState:
    """The facts fitted to training rows, in the parts of `TransformStatistics`.

    Args:
        vocabularies: table -> its values in the order of their ids. Defaults to none.
        vocabulary_counts: table -> how often each of them occurred. Defaults to none.
        boundaries: feature -> rising boundaries. Defaults to none.
        means: feature -> mean. Defaults to none.
        deviations: feature -> standard deviation. Defaults to none.
        states: feature -> plain values (JSON) of any other form. Defaults to none.
        training: feature -> plain values that only examples of the training split are written with; an export has
            none. Defaults to none.
        notes: what is suspicious about the values, a sentence each, for the manifest. Defaults to none.
    """

    vocabularies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    vocabulary_counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    boundaries: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    means: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, float] = field(default_factory=dict)
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    training: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabeledRows:
    """Examples of the training split with their labels, for features that are made of labels.

    Args:
        rows: canonical rows.
        labels: task -> float32, null where missing; those of label windows are not known yet and not there.
        as_of: gives int64 `(N,)`, each row's time or fold, as in `RequestView.as_of`.
    """

    rows: pa.RecordBatch
    labels: Mapping[str, pa.Array]
    as_of: Callable[[], np.ndarray]


@dataclass(frozen=True)
class FittedState:
    """The interface by which a behavior reads fitted facts.

    Args:
        statistics: `TransformStatistics`.
        vocabulary: function of a table's name that returns its lookup of texts, -1 for unknown ones.

    Attributes:
        once: `Once`, what features have loaded for each other.
    """

    statistics: Any
    vocabulary: Callable[[str], tf.lookup.StaticHashTable]
    once: Once = field(default_factory=Once, init=False, compare=False, repr=False)


class FeatureBehavior(ABC):  # noqa: B024  a kind overrides what it needs: most have a default that is right
    """The behavior of one feature of a problem; each subclass is one kind.

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

    # === What is fitted ===

    extends: ClassVar[tuple[str, ...]] = ()
    """Whose counts another day's log adds to what was fitted: `(TABLE,)` or `(FEATURE,)`, or none."""

    def count(self, rows: pa.RecordBatch) -> dict[Column, pa.Table]:
        """The counts of a batch: tables that can be added up in any order.

        Columns of a table that are called `count` or begin with `sum_` hold int64 and are added; all others are the key
        of a row. Floating-point sums would depend on the order. Defaults to nothing.

        Args:
            rows: canonical rows of the training split, those of `read` among their columns.
        """
        return {}

    def count_labeled(self, rows: LabeledRows) -> dict[Column, pa.Table]:
        """The counts of a batch's examples and their labels, under the same rules as `count`.

        Called for a kind whose record `reads_labels`. Defaults to nothing.
        """
        return {}

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        """The fitted state from the summed tables; a table without rows is missing. Called once, on one machine.

        Of features that share a column of counts the first one fits it. Defaults to nothing.
        """
        return FeatureState()

    def extend(self, statistics: Any, counts: Mapping[Column, pa.Table]) -> FeatureState:
        """The parts that another day's log changes; they replace those in `statistics`.

        Ids keep their meaning. Called for a kind that `extends`, with its columns. Defaults to nothing.

        Args:
            statistics: `TransformStatistics` of the days before.
            counts: merged tables of the new log's training rows.
        """
        return FeatureState()

    def table_rows(self, statistics: Any) -> dict[str, int]:
        """Table -> its rows, reserved ones included. Defaults to the rows that the tensors name.

        Args:
            statistics: `TransformStatistics`.
        """
        tensors = self.record.tensors(self.problem)
        return {each.table: each.rows for each in tensors if each.table is not None and each.rows is not None}

    def load(self, fitted: FittedState) -> None:
        """Loads the fitted facts that `encode` and `derive` need. Defaults to nothing."""
        return

    # === TensorFlow: in workers and in the serving graph alike ===

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Input key -> `(*lead, *inner)` to encoded key -> `(*lead, *inner)`, whatever the leading axes.

        Of a list it is called with the values; those that are missing (0) are left out afterwards.
        """
        raise NotImplementedError(f"{type(self).__name__} derives its tensors from other features.")

    needs_windows: ClassVar[bool] = True
    """Of a feature without inputs: whether it reads the padded events of a view. `False` where `RequestView.events`
    tells what it needs of sequences, or it reads none: then no windows are padded when records are written."""

    def measure(self, view: RequestView) -> dict[str, Measure]:
        """Field -> number on a fixed scale, of a feature that has no input of its own; defaults to none.

        A kind overrides this or `derive`. Numbers of all features are then encoded together.
        """
        return {}

    def derive(self, view: RequestView) -> dict[str, tf.Tensor]:
        """Encoded tensors of a feature that has no input of its own, from the other parts of a request."""
        measures = self.measure(view)
        if not measures:
            raise NotImplementedError(f"{type(self).__name__} encodes inputs of its own.")
        return encode_measures(measures)

    # === Keras: in the model ===

    @classmethod
    def layer(cls, records: Sequence[Any], dim: int, policy: Any) -> "FieldLayer | None":
        """What reads the kind's tensors of the roles `own` and `lookup`. Defaults to `None`: there are none.

        Args:
            records: all features of this kind that have such tensors, in the order of the problem.
            dim: int. The common width of fields.
            policy: the dtype policy of the layer.
        """
        return None

    def initial_rows(self, statistics: Any) -> dict[str, np.ndarray]:
        """Table -> what its rows from id 2 on start from, float32 `(n, dim)`, where that is not drawn at random.

        A row of NaN is drawn. Called when the training of a new model begins. Defaults to nothing.

        Args:
            statistics: `TransformStatistics`.

        Raises:
            ValueError: a file that it is read from is not there, or is wrong.
        """
        return {}

    # === Looking at it ===

    is_logarithmic = False
    """Whether a number is shown on a logarithmic axis, since it was scaled so."""

    def views(self, encoded: Mapping[str, np.ndarray]) -> dict[str, View]:
        """Name -> view of a batch for drift, skew, report and leak check.

        Defaults to one view a field: its ids, or its number where it has none.

        Args:
            encoded: encoded key -> `(rows, ...)`, the tensors of this feature among them.
        """
        found: dict[str, View] = {}
        for each in self.record.tensors(self.problem):
            if each.holds_ids:
                form = "lists" if each.inner else "ids"
                found[each.field] = View(form, encoded[each.key], each.table, each.is_ordered)
            elif each.role == "number":
                found.setdefault(each.field, View("numbers", encoded[each.key]))
        return found

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        """Name -> raw values of a batch as far as records tell them, for slices. Defaults to none: nothing is told.

        Args:
            encoded: encoded key -> `(rows, ...)`, the tensors of this feature among them.
            statistics: `TransformStatistics`.
        """
        return {}

    def describe(self, statistics: Any) -> dict[str, Any]:
        """For the data report: `size`, and `values`, the names of the ids from 2 on, where they have any.

        Args:
            statistics: `TransformStatistics`.
        """
        return {"size": "", "values": None}
