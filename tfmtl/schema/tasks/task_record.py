"""The base class of task records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tfmtl.schema.checks import check_column, check_name
from tfmtl.schema.condition import Condition
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.reserved import JOINT
from tfmtl.schema.strict import check_types
from tfmtl.schema.tasks.output import Output

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem
    from tfmtl.schema.tasks.label_window import LabelWindow

WEIGHT = "weight"


@dataclass(frozen=True)
class TaskRecord:
    """A task with one prediction per example; use a subclass, one per kind.

    A subclass is a frozen dataclass whose fields are the keys of the problem file; what a task of the kind does is its
    `tfmtl.tasks.TaskBehavior`. What no field says, the class attributes below say, and what reads tasks asks these,
    never the kind.

    Args:
        name: str. Name of the task and of its output.
        label: str or None. The label's column. Defaults to `None`: the name.
        parent: str or None. The binary task that must be positive for this one
            to be (click before buy). Rows that contradict it are rejected.
            Defaults to `None`.
        sample_space: str or None. Condition under which a row counts for this
            task; elsewhere its label is missing. Defaults to `None`.
        weight: float. Factor of the task's loss. Defaults to `1.0`.
        weight_column: str or None. Column with the weight of each row for this task, at least 0. A row with a label but
            without a weight is rejected. Defaults to `None`: every row counts once.
        weight_offset: float. Added to what `weight_column` holds, so that with 1 it says what a row counts more than
            once. Defaults to `0.0`.
        weighted_metrics: bool. Whether weights of rows (this column's, and that of `keys.weight`) count in the metrics,
            too; in the loss they always do. Defaults to `False`.
        known_at_event: bool. Whether the label is known at the time of its row's event, as a click is and a purchase
            within a week is not. Only then may the condition of a history read it. Defaults to `False`.

    Attributes:
        kind: str. The name in the problem file.
        can_be_parent: bool. Whether the label is a yes/no event: it may be a parent, a step of a chain, what a
            retrieval looks for.
        calibrates: bool. Whether the score is a probability, and all that there is to calibrate.
        calibrators: tuple of str. What may calibrate it: `platt`, `isotonic` and `negatives` where it `calibrates`,
            `km` where it answers with survival curves.
        serving_method: str or None. `"classify"` or `"regress"`, which TensorFlow Serving has a call for, or neither.
        monitor: (str, str). Name of the metric that is shown while the model trains, and `"max"` or `"min"`: which way
            is better.
        needs_known_until: bool. Whether labels are settled by how far the log reaches (`settle_labels`).
        counted_parts: tuple of str. The parts of a label that are counted together for `fit_labels`.
        compares_rows: bool. Whether the loss compares the rows of a batch with each other, so that a batch must not be
            divided among replicas.
        reads_training_split: bool. Whether a trained head holds what all training rows together say
            (`after_training`).
        correlates: bool. Whether the primary part is the whole label, so that its correlation with others means what
            it says.
        predicts_mean: bool. Whether the score is the label's mean, as that of a plain regression is.
        has_curve: bool. Whether it answers with a survival curve, and its fitted state says what that is compared with.
    """

    kind: ClassVar[str] = ""
    can_be_parent: ClassVar[bool] = False
    calibrates: ClassVar[bool] = False
    serving_method: ClassVar[str | None] = None
    monitor: ClassVar[tuple[str, str]] = ("loss", "min")
    needs_known_until: ClassVar[bool] = False
    counted_parts: ClassVar[tuple[str, ...]] = ("",)
    compares_rows: ClassVar[bool] = False
    reads_training_split: ClassVar[bool] = False
    correlates: ClassVar[bool] = True
    predicts_mean: ClassVar[bool] = False
    has_curve: ClassVar[bool] = False

    name: str
    label: str | None = None
    parent: str | None = None
    sample_space: str | None = None
    weight: float = 1.0
    weight_column: str | None = None
    weight_offset: float = 0.0
    weighted_metrics: bool = False
    known_at_event: bool = False

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
        check_column(owner, "weight_column", self.weight_column)
        if not 0.0 <= self.weight_offset < math.inf or (self.weight_offset and self.weight_column is None):
            raise ProblemError(
                f"{owner}: `weight_offset` must be at least 0 and finite, and stands beside a `weight_column`. "
                f"Received: weight_offset={self.weight_offset!r}, weight_column={self.weight_column!r}. Leave it out, "
                "or use `weight`, the factor of the whole task."
            )
        if self.sample_space is not None:
            Condition(self.sample_space)

    @property
    def label_column(self) -> str | None:
        """The column that holds the label; `None` for a label that is in none."""
        return self.label or self.name

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Every column that the label and the row's weight are read from."""
        return tuple(column for column in (self.label_column, self.weight_column) if column is not None)

    @property
    def number_columns(self) -> tuple[str, ...]:
        """Those of `label_columns` that are read as numbers, however a number is spelled."""
        return self.label_columns

    @property
    def label_parts(self) -> tuple[str, ...]:
        """What a label consists of; `""` is the part that is missing where there is no label."""
        return ("",)

    @property
    def label_keys(self) -> dict[str, str]:
        """Part of the label -> its name among the labels of a batch; the row's weight for this task is one of them."""
        parts = (*self.label_parts, *([WEIGHT] if self.weight_column is not None else []))
        return {part: self.key(part) for part in parts}

    def check(self, problem: Problem) -> None:
        """Raises `ProblemError` where the task does not fit the rest of the problem. Defaults to no rule of its own."""

    @property
    def late_window(self) -> LabelWindow | None:
        """In which later events the label lies; `None` for a label that the row itself holds."""
        return None

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What the task answers with, the score first."""
        return (Output(text="value"),)

    @property
    def calibrators(self) -> tuple[str, ...]:
        """The methods of `--calibrate` for this kind."""
        return ("platt", "isotonic", "negatives") if self.calibrates else ()

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of `outputs`."""
        return tuple(self.key(output.suffix) for output in self.outputs)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What TensorFlow Serving's Classify calls the classes, of a task that has some."""
        return ()

    def key(self, suffix: str) -> str:
        """`<task>` for `""`, else `<task>__<suffix>`."""
        return f"{self.name}{JOINT}{suffix}" if suffix else self.name

    @property
    def condition(self) -> Condition | None:
        """`sample_space`, parsed."""
        return Condition(self.sample_space) if self.sample_space is not None else None
