"""Area under the ROC curve of "has ended by t"."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.metrics.roc_auc import roc_auc
from tfmtl.metrics.survival._time_rows import read_risks, read_times
from tfmtl.metrics.survival.uno import event_weights
from tfmtl.survival import StepFunction


def auc_at_times(
    times: ArrayLike, events: ArrayLike, risks: ArrayLike, at: ArrayLike, censoring: StepFunction
) -> NDArray[np.float64]:
    """Returns how well risks tell rows that ended by t from those that lived longer (cumulative/dynamic AUC).

    A row that ended weighs `1 / G(t_i-)`; rows censored before t count for neither side. A tie of risks is one half.

    Shapes: N rows, M times.

    Args:
        times: `(N,)`, at least 0 or NaN. Until when a row was observed. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        risks: `(N,)` or `(N, M)`. Anything rising with how soon a row is expected to end, as 1 - S(t).
        at: `(M,)`. The times t.
        censoring: `tfmtl.survival.censoring_curve` of the training rows. Below 0.001 it counts as that.

    Returns:
        float64 `(M,)`, each in [0, 1]; NaN where nothing has ended, or nothing lived longer.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: lengths differ, a time is negative, an event not 0 or 1, or a labeled row's risk is NaN.

    Example:

    >>> from tfmtl.survival import censoring_curve
    >>> auc_at_times([1, 2, 3], [1, 1, 1], [0.9, 0.2, 0.4], [1.5], censoring_curve([1, 2, 3], [1, 1, 1])).tolist()
    [1.0]

    Reference:
        Hung and Chiang 2010, "Estimation methods for time-dependent AUC models with survival data".
    """
    owner = "auc_at_times"
    rows, grid, scores = read_times(owner, times, events), np.asarray(at, np.float64), np.asarray(risks, np.float64)
    weights = event_weights(rows, censoring)
    areas = np.full(len(grid), math.nan)
    shared = read_risks(owner, rows, scores) if scores.ndim == 1 else None
    for number, time in enumerate(grid):
        column = read_risks(owner, rows, scores[:, number]) if shared is None else shared
        case, control = rows.events & (rows.times <= time), rows.times > time
        used = case | control
        areas[number] = roc_auc(case[used], column[used], np.where(case, weights, 1.0)[used])
    return areas
