"""What every kind of task does, from the log's column to the answer and its measure: a file a kind."""

from tfmtl.tasks.behavior_of import behavior_of
from tfmtl.tasks.label_columns import LabelColumns
from tfmtl.tasks.task_behavior import TaskBehavior

__all__ = ["LabelColumns", "TaskBehavior", "behavior_of"]
