"""Regression tasks."""

from dataclasses import dataclass
from typing import ClassVar

from tfmtl.schema.tasks.task_record import TaskRecord


@dataclass(frozen=True)
class RegressionTask(TaskRecord):
    """A task whose label is a finite number; the model answers with its mean. Arguments: see `TaskRecord`."""

    kind: ClassVar[str] = "regression"
    serving_method: ClassVar[str | None] = "regress"
    monitor: ClassVar[tuple[str, str]] = ("rmse", "min")
    predicts_mean: ClassVar[bool] = True
