"""Ordinal tasks: classes with an order."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.tasks.class_list import check_classes
from tfmtl.schema.tasks.output import Output
from tfmtl.schema.tasks.task_record import TaskRecord


@dataclass(frozen=True)
class OrdinalTask(TaskRecord):
    """A task whose label is one of several texts in order, such as ratings; see `TaskRecord`, too.

    The model answers with the expected value of the classes, and a probability for each.

    Args:
        classes: tuple of str. All that the label may be, the lowest first, compared as text; a row with another one is
            rejected.
        values: tuple of float. What each class is worth, rising. Defaults to `()`: 0, 1, 2, ...
    """

    kind: ClassVar[str] = "ordinal"
    serving_method: ClassVar[str | None] = "regress"
    monitor: ClassVar[tuple[str, str]] = ("mae", "min")

    classes: tuple[str, ...] = ()
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = f"OrdinalTask '{self.name}'"
        check_classes(owner, self.classes)
        rises = all(low < high for low, high in pairwise(self.values))
        if self.values and (len(self.values) != len(self.classes) or not rises):
            raise ProblemError(
                f"{owner}: `values` must rise, one for each of the {len(self.classes)} classes. Received: "
                f"values={list(self.values)!r}. Leave it out for 0, 1, 2, ..."
            )

    @property
    def number_columns(self) -> tuple[str, ...]:
        """The weight alone: classes are texts."""
        return tuple(column for column in self.label_columns if column != self.label_column)

    @property
    def class_values(self) -> tuple[float, ...]:
        """What each class is worth."""
        return self.values or tuple(float(place) for place in range(len(self.classes)))

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The expected value, and the probability of every class."""
        every = Output("probabilities", (len(self.classes),), f"probabilities of {', '.join(self.classes)}")
        return (Output(text="expected value"), every)
