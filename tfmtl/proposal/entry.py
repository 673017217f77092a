"""One line of a proposed problem file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfmtl.schema.registry import TASKS


@dataclass(frozen=True)
class Entry:
    """A guess and its reason.

    Attributes:
        values: what the line says, as `Problem.from_dict` reads it.
        why: one sentence.
    """

    values: Mapping[str, Any]
    why: str

    @property
    def name(self) -> str:
        """The feature's, sequence's or task's name; that of a derived feature is in no line."""
        return str(self.values["name"])

    @property
    def names_one(self) -> bool:
        """Whether it is a feature that names one thing a row, so that rows with the same one can be told."""
        return self.values["kind"] == "categorical" and not self.values.get("multi_valued")

    @property
    def is_binary(self) -> bool:
        """Whether it is a yes/no task."""
        return bool(self.values["kind"] == "binary")

    @property
    def has_rates(self) -> bool:
        """Whether it is a task of which a feature may be the mean label before, as `RateFeature` takes it."""
        task = TASKS.record(self.values["kind"], "")
        return bool(task.can_be_parent or task.predicts_mean)
