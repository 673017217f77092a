"""Select the parts of one task's label from the labels of a batch."""

from collections.abc import Mapping
from typing import Any

from tfmtl.schema import TaskRecord


def label_parts(task: TaskRecord, labels: Mapping[str, Any]) -> dict[str, Any]:
    """Part of a task's label -> `(B,)`, of the labels of a batch, arrays or tensors."""
    return {part: labels[key] for part, key in task.label_keys.items()}
