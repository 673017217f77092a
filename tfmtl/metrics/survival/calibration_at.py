"""Predicted survival beside what happened, by group of prediction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import check_length, read_column
from tfmtl.metrics.survival._time_rows import read_times
from tfmtl.schema.checks import check_positive_int
from tfmtl.survival import kaplan_meier


@dataclass(frozen=True)
class SurvivalGroup:
    """Rows of like predictions.

    Args:
        rows: int. How many.
        predicted: float. Their mean predicted survival.
        observed: float. Their Kaplan-Meier survival at the same time.
    """

    rows: int
    predicted: float
    observed: float


def survival_calibration(
    times: ArrayLike, events: ArrayLike, survival: ArrayLike, at: float, num_groups: int = 10
) -> list[SurvivalGroup]:
    """Returns predicted survival at a time against Kaplan-Meier, in groups of equal size by prediction.

    Shapes: N rows.

    Args:
        times: `(N,)`, at least 0 or NaN. Until when a row was observed. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        survival: `(N,)`. Predicted S at that time.
        at: float. The time.
        num_groups: int. Equal predictions stay together, so there may be fewer groups. Defaults to `10`.

    Returns:
        Groups, from the lowest prediction up.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: lengths differ, a time is negative, an event not 0 or 1, or `num_groups` is not positive.

    Example:

    >>> survival_calibration([1, 3], [1, 1], [0.2, 0.9], at=2.0, num_groups=2)[0]
    SurvivalGroup(rows=1, predicted=0.2, observed=0.0)
    """
    owner = "survival_calibration"
    check_positive_int(owner, "num_groups", num_groups)
    rows = read_times(owner, times, events)
    column = read_column(owner, "survival", survival)
    check_length(owner, "survival", len(column), len(rows.present))
    known = column[rows.present]
    if not known.size:
        return []
    inner = np.quantile(known, np.arange(1, num_groups) / num_groups)
    groups = np.searchsorted(inner, known, side="right")
    found = []
    for group in np.unique(groups):
        inside = groups == group
        observed = kaplan_meier(rows.times[inside], rows.events[inside]).at(at)
        found.append(SurvivalGroup(int(inside.sum()), float(known[inside].mean()), float(observed)))
    return found
