"""Find the behavior of a task of the problem file."""

from typing import Any

from tfmtl.schema import TaskRecord
from tfmtl.schema.registry import TASKS


def behavior_of(record: TaskRecord) -> Any:
    """The `TaskBehavior` of a task; its class is imported here, and not before."""
    return TASKS.behavior(record.kind)(record)
