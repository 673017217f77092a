"""Multiclass tasks."""

from dataclasses import dataclass
from typing import ClassVar

from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.tasks.class_list import check_classes
from tfmtl.schema.tasks.output import Output
from tfmtl.schema.tasks.task_record import TaskRecord


@dataclass(frozen=True)
class MulticlassTask(TaskRecord):
    """A task whose label is one of several texts; the model answers with a probability for each. See `TaskRecord`, too.

    Args:
        classes: tuple of str. All that the label may be, compared as text; a row with another one is rejected.
        score_class: str or None. The class whose probability is the task's score: what formulas, the order of a
            ranking and retrieval read. Defaults to `None`: the last one.
    """

    kind: ClassVar[str] = "multiclass"
    serving_method: ClassVar[str | None] = "classify"
    monitor: ClassVar[tuple[str, str]] = ("accuracy", "max")

    classes: tuple[str, ...] = ()
    score_class: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_classes(f"MulticlassTask '{self.name}'", self.classes)
        if self.score_class is not None and self.score_class not in self.classes:
            raise ProblemError(
                f"MulticlassTask '{self.name}': `score_class` must be one of {list(self.classes)}. Received: "
                f"score_class={self.score_class!r}."
            )

    @property
    def number_columns(self) -> tuple[str, ...]:
        """The weight alone: classes are texts."""
        return tuple(column for column in self.label_columns if column != self.label_column)

    @property
    def score_index(self) -> int:
        """Which of the classes the score is of."""
        return len(self.classes) - 1 if self.score_class is None else self.classes.index(self.score_class)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The score, and the probability of every class."""
        text = f"probability of `{self.classes[self.score_index]}`"
        every = Output("probabilities", (len(self.classes),), f"probabilities of {', '.join(self.classes)}")
        return (Output(text=text), every)

    @property
    def class_names(self) -> tuple[str, ...]:
        """`classes`."""
        return self.classes
