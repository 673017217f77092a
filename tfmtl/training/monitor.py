"""The metric that picks the best epoch."""

from collections.abc import Iterable

from tfmtl.data import PreparedData
from tfmtl.schema import Problem
from tfmtl.schema.checks import check_one_of, error_text
from tfmtl.training.relative_loss import RELATIVE_LOSS


def default_monitor(data: PreparedData) -> str | None:
    """The metric where none is named: `val_mean_relative_loss`; None without validation.

    Args:
        data: `PreparedData`.
    """
    return RELATIVE_LOSS if _labeled(data) else None


def choose_monitor(known: Iterable[str], monitor: str | None, data: PreparedData) -> str | None:
    """The metric named or the default one.

    Args:
        known: what is measured on the validation split.
        monitor: str or None. What is named.
        data: `PreparedData`.

    Raises:
        ValueError: there is no such metric, or nothing to measure it on.
    """
    labeled = _labeled(data)
    if not labeled:
        if monitor is not None:
            advice = "Leave it out, or give the split a share for validation."
            raise ValueError(error_text("fit", "monitor", "be None without validation examples", monitor, advice))
        return None
    chosen = monitor or str(default_monitor(data))
    check_one_of("fit", "monitor", chosen, list(known))
    task = chosen.removeprefix("val_").rpartition("/")[0]
    measurable = _with_auc(data) if chosen.endswith("auc") else labeled
    if (task and task not in measurable) or not measurable:
        rule = "be a metric that the validation split has the labels for"
        raise ValueError(error_text("fit", "monitor", rule, chosen, f"Tasks with such labels: {measurable}."))
    return chosen


def monitor_direction(problem: Problem, monitor: str) -> str:
    """Whether a metric is better the larger (`"max"`) or the smaller (`"min"`) it is.

    Args:
        problem: `Problem`.
        monitor: str. A metric of validation.
    """
    task, _, metric = monitor.removeprefix("val_").rpartition("/")
    known = {"mean_auc": "max"} if not task else dict([problem.task(task).monitor])
    return known.get(metric, "min")  # all else are losses


def _labeled(data: PreparedData) -> list[str]:
    return [task.name for task in data.problem.tasks if data.num_labels("valid", task.name)]


def _with_auc(data: PreparedData) -> list[str]:
    """Tasks whose AUC validation can measure."""
    monitors = {task.name: task.monitor[0] for task in data.problem.tasks}
    return [name for name in _labeled(data) if monitors[name] == "auc" and data.has_both_classes("valid", name)]
