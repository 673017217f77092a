"""Whether predicted survival is distributed as it should be."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import check_length
from tfmtl.metrics.survival._time_rows import read_times
from tfmtl.schema.checks import check_positive_int
from tfmtl.survival import SurvivalCurves


@dataclass(frozen=True)
class DCalibration:
    """Counts of rows by predicted survival at their own time, and the test that they are even.

    Args:
        counts: Rows in each bin, from the lowest survival up; a censored row is spread over several.
        statistic: float. Pearson's chi-squared.
        p_value: float. Chance of a statistic as large under a calibrated model; NaN without rows.
    """

    counts: tuple[float, ...]
    statistic: float
    p_value: float


def d_calibration(times: ArrayLike, events: ArrayLike, curves: SurvivalCurves, num_bins: int = 10) -> DCalibration:
    """Returns whether S_i(t_i) is uniform, as it is if times are drawn from the curves.

    A censored row with S_i(c) = s is known to end with a lower survival: it adds `(s - l) / s` to its own bin, whose
    lower end is l, and `1 / (num_bins s)` to every bin below. Beyond the horizon the curves know nothing: a row whose
    time lies there counts as censored at the horizon.

    Shapes: N rows.

    Args:
        times: `(N,)`, at least 0 or NaN. Until when a row was observed. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        curves: N of them.
        num_bins: int. Defaults to `10`.

    Returns:
        A `DCalibration`; the test has `num_bins - 1` degrees of freedom.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: lengths differ, a time is negative, an event not 0 or 1, or `num_bins` is not positive.

    Example:

    >>> curves = SurvivalCurves(np.array([2.0]), np.array([[0.0], [0.0]]))
    >>> d_calibration([0.5, 1.5], [1, 1], curves, num_bins=2).counts
    (1.0, 1.0)

    Reference:
        Haider et al. 2020, "Effective ways to build and evaluate individual survival distributions", section 3.5.
    """
    owner = "d_calibration"
    check_positive_int(owner, "num_bins", num_bins)
    rows = read_times(owner, times, events)
    check_length(owner, "curves", len(curves), len(rows.present))
    survival = np.clip(curves.rows(rows.present).at_own(rows.times), 0.0, 1.0)
    exact = rows.events & (rows.times <= curves.edges[-1])
    own = np.minimum((survival * num_bins).astype(np.int64), num_bins - 1)
    counts = np.bincount(own[exact], minlength=num_bins).astype(np.float64)
    left, bins = survival[~exact], own[~exact]
    some = np.maximum(left, np.finfo(np.float64).tiny)
    counts += np.bincount(bins, np.where(left > 0, (left - bins / num_bins) / some, 1.0), num_bins)
    # What a row adds to every bin below its own: summed from the top.
    below = np.bincount(bins, np.where(bins > 0, 1.0 / (num_bins * some), 0.0), num_bins)
    counts += np.cumsum(below[::-1])[::-1] - below
    expected = len(survival) / num_bins
    if not expected:
        return DCalibration(tuple(counts.tolist()), math.nan, math.nan)
    statistic = float(np.sum((counts - expected) ** 2) / expected)
    return DCalibration(tuple(counts.tolist()), statistic, chi_squared_tail(statistic, num_bins - 1))


def chi_squared_tail(statistic: float, freedom: int) -> float:
    """Returns the chance that chi-squared with `freedom` degrees of freedom is larger.

    In closed form, by adding two degrees at a time (Abramowitz and Stegun 26.4.4 and 26.4.5).

    Example:

    >>> round(chi_squared_tail(3.841459, 1), 4)
    0.05
    """
    half = statistic / 2
    odd = freedom % 2 == 1
    power = 0.5 if odd else 0.0
    tail = math.erfc(math.sqrt(half)) if odd else (math.exp(-half) if freedom else 0.0)
    if not odd:
        power = 1.0
    while 2 * power < freedom:
        tail += math.exp(power * math.log(half) - half - math.lgamma(power + 1)) if half > 0 else 0.0
        power += 1
    return min(tail, 1.0)
