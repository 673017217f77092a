"""The behaviors of tasks, from the label's column to prediction and metrics: one module per kind."""

from tfmtl.tasks.behavior_of import behavior_of
from tfmtl.tasks.label_columns import LabelColumns
from tfmtl.tasks.task_behavior import TaskBehavior

__all__ = ["LabelColumns", "TaskBehavior", "behavior_of"]
