"""What every kind of task has."""

import math
from dataclasses import dataclass
from typing import ClassVar

from tfmtl.schema.condition import Condition
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.strict import check_name, check_types


@dataclass(frozen=True)
class Task:
    """One prediction per example; use a subclass, which says of what kind.

    Args:
        name: str. The task, also the output's name everywhere.
        label: str or None. The label's column. Defaults to `None`: the name.
        parent: str or None. The binary task that must be positive for this one
            to be (click before buy). Rows that contradict it are rejected.
            Defaults to `None`.
        sample_space: str or None. Condition under which a row counts for this
            task; elsewhere its label is missing. Defaults to `None`.
        weight: float. Factor of the task's loss. Defaults to `1.0`.
    """

    kind: ClassVar[str] = ""

    name: str
    label: str | None = None
    parent: str | None = None
    sample_space: str | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        owner = f"{type(self).__name__} '{self.name}'"
        check_types(owner, self)
        check_name(type(self).__name__, "name", self.name)
        if not 0.0 < self.weight < math.inf:
            raise ProblemError(
                f"{owner}: `weight` must be positive and finite. Received: weight={self.weight!r}. "
                "Remove the task to switch it off."
            )
        if self.label == "":
            raise ProblemError(f"{owner}: `label` must not be empty. Received: label=''. Leave it out for the name.")
        if self.sample_space is not None:
            Condition(self.sample_space)

    @property
    def label_column(self) -> str | None:
        """The column that holds the label; `None` for a label that is in none."""
        return self.label or self.name

    @property
    def condition(self) -> Condition | None:
        """`sample_space`, parsed."""
        return Condition(self.sample_space) if self.sample_space is not None else None
