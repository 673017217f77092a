"""Binary tasks."""

from dataclasses import dataclass
from typing import ClassVar

from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.tasks.label_window import LabelWindow
from tfmtl.schema.tasks.output import Output
from tfmtl.schema.tasks.task_record import TaskRecord


@dataclass(frozen=True)
class BinaryTask(TaskRecord):
    """A task whose label is 0 or 1; the model answers with a probability. Further arguments: see `TaskRecord`.

    Args:
        label_window: `LabelWindow` or None. Takes the label from the user's later events in place of a column: 1 if
            such an event follows within the window, else 0, and missing while the window is open. It is open where it
            reaches beyond the newest time of the log and, in a split by time, beyond the end of the example's own
            split: when the next split begins, such a label would not be known. With a `parent`, an example whose
            parent is 0 is 0 too: what follows is not its doing. Defaults to `None`.
        positive: str or None. The text of the label's column that is 1, such as `"yes"`; every other text is 0.
            Defaults to `None`: the column holds 0 and 1.
    """

    kind: ClassVar[str] = "binary"
    can_be_parent: ClassVar[bool] = True
    calibrates: ClassVar[bool] = True
    serving_method: ClassVar[str | None] = "classify"
    monitor: ClassVar[tuple[str, str]] = ("auc", "max")

    label_window: LabelWindow | None = None
    positive: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.positive, bool | int | float):
            raise ProblemError(
                f"BinaryTask '{self.name}': `positive` must be text. Received: positive={self.positive!r}. YAML reads "
                "yes, no, on, off and numbers as other than text: put it in quotes, as in positive: 'yes'."
            )
        super().__post_init__()
        if self.positive is not None and (self.positive == "" or self.label_window is not None):
            raise ProblemError(
                f"BinaryTask '{self.name}': `positive` must be a text of the label's column, and there is none with "
                f"`label_window`. Received: positive={self.positive!r}. Leave it out."
            )
        if self.label_window is not None and self.known_at_event:
            raise ProblemError(
                f"BinaryTask '{self.name}': `known_at_event` must be false with `label_window`, whose events come "
                "later. Received: known_at_event=True. Leave it out."
            )
        if self.label_window is not None and self.label is not None:
            raise ProblemError(
                f"BinaryTask '{self.name}': `label` must not be given with `label_window`, which needs no column. "
                f"Received: label={self.label!r}. Remove one of them."
            )

    @property
    def label_column(self) -> str | None:
        """The column that holds the label; `None` where later events tell it."""
        return None if self.label_window is not None else super().label_column

    @property
    def late_window(self) -> LabelWindow | None:
        """`label_window`."""
        return self.label_window

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The probability of a 1."""
        return (Output(text="probability"),)

    @property
    def class_names(self) -> tuple[str, ...]:
        """`"0"` and `"1"`."""
        return ("0", "1")
