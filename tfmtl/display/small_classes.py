"""Say how far an AUC can be trusted where one class has few examples."""

import math
from collections.abc import Mapping
from typing import Any

FEW = 100  # examples of a class; an AUC of .8 then has an interval of .08 and more
_TWO_SIDED_95 = 1.96


def auc_interval(auc: float, positives: float, negatives: float) -> tuple[float, float]:
    """An approximate 95 % interval of an AUC.

    Args:
        auc: float, the AUC measured.
        positives: how many examples are positive, at least 1.
        negatives: how many are negative, at least 1.

    Example:

    >>> [round(end, 3) for end in auc_interval(0.8, 10, 990)]
    [0.601, 0.945]

    Reference:
        Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve", equations 1 and 2; the center is
        drawn half an example of the rarer class toward one half, so that an AUC of 1 has an interval, too.
    """
    rarer = min(positives, negatives)
    center = (auc * rarer + 0.5) / (rarer + 1.0)
    two_positives, two_negatives = center / (2.0 - center), 2.0 * center**2 / (1.0 + center)
    variance = center * (1.0 - center)
    variance += (positives - 1.0) * (two_positives - center**2) + (negatives - 1.0) * (two_negatives - center**2)
    half = _TWO_SIDED_95 * math.sqrt(max(variance, 0.0) / (positives * negatives))
    return max(0.0, center - half), min(1.0, center + half)


def small_class_note(task: str, metrics: Mapping[str, Any]) -> str | None:
    """A sentence for a yes/no task with fewer than 100 examples of a class; `None` for all others.

    Args:
        task: str.
        metrics: the task's, as `tfmtl.training.evaluate` returns them.
    """
    auc = metrics.get("auc")
    if auc is None or metrics.get("mean_label") is None or "ece" not in metrics:
        return None
    positives = round(metrics["mean_label"] * metrics["examples"])
    negatives = metrics["examples"] - positives
    if min(positives, negatives) >= FEW or min(positives, negatives) < 1:
        return None
    low, high = auc_interval(auc, positives, negatives)
    count, name = (positives, "positive") if positives < negatives else (negatives, "negative")
    return (
        f"AUC of {task}: only {count} of {metrics['examples']:,} examples are {name}, so that it lies between "
        f"{low:.3f} and {high:.3f} (95 %)."
    )
