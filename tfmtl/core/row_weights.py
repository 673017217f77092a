"""Row weights from the weight columns of the log; no other module computes them."""

from collections.abc import Mapping
from typing import Any

from tfmtl.schema import Problem
from tfmtl.schema.keys import ROW_WEIGHT
from tfmtl.schema.tasks.task_record import WEIGHT


def row_weights(problem: Problem, labels: Mapping[str, Any]) -> dict[str, Any]:
    """Task -> weights of its rows, `(B,)`; `None` if every row counts once.

    That is what `keys.weight` holds, times `weight_offset` plus what the task's `weight_column` holds.

    Args:
        problem: `Problem`.
        labels: key of `Problem.label_keys` -> `(B,)`, arrays or tensors.
    """
    found: dict[str, Any] = {}
    for task in problem.tasks:
        factors = [] if problem.keys.weight is None else [labels[ROW_WEIGHT]]
        if task.weight_column is not None:
            factors.append(labels[task.label_keys[WEIGHT]] + task.weight_offset)
        found[task.name] = (factors[0] * factors[1] if len(factors) > 1 else factors[0]) if factors else None
    return found


def metric_weights(problem: Problem, labels: Mapping[str, Any]) -> dict[str, Any]:
    """The same for metrics, where weights count only for tasks that say so (`weighted_metrics`)."""
    weights = row_weights(problem, labels)
    return {task.name: weights[task.name] if task.weighted_metrics else None for task in problem.tasks}
