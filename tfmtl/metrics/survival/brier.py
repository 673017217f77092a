"""Squared error of predicted survival, over time."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.metrics._labeled_rows import check_length
from tfmtl.metrics.survival._time_rows import TimeRows, read_times
from tfmtl.metrics.survival.row_sums import RowSums
from tfmtl.metrics.survival.uno import LEAST_CENSORING, event_weights
from tfmtl.schema.checks import error_text
from tfmtl.survival import StepFunction, SurvivalCurves

_CELLS = 4_000_000


def brier_scores(
    times: ArrayLike, events: ArrayLike, curves: SurvivalCurves, at: ArrayLike, censoring: StepFunction
) -> NDArray[np.float64]:
    """Returns the mean squared error of S(t) at some times, weighted so that censoring does not bias it.

    `mean(1(t_i <= t, ended) S_i(t)^2 / G(t_i-) + 1(t_i > t) (1 - S_i(t))^2 / G(t))`, with G the share still observed.

    Shapes: N rows, M times.

    Args:
        times: `(N,)`, at least 0 or NaN. Until when a row was observed. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        curves: N of them.
        at: `(M,)`. The times t.
        censoring: `tfmtl.survival.censoring_curve` of the training rows. Below 0.001 it counts as that.

    Returns:
        float64 `(M,)`, at least 0; one half predicted for all gives about 0.25.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: lengths differ, a time is negative, or an event not 0 or 1.

    Example:

    >>> from tfmtl.survival import censoring_curve
    >>> curves = SurvivalCurves(np.array([2.0]), np.array([[0.2], [0.6]]))
    >>> brier_scores([1, 3], [1, 1], curves, [2.0], censoring_curve([1, 3], [1, 1])).round(2).tolist()
    [0.1]

    Reference:
        Graf et al. 1999, "Assessment and comparison of prognostic classification schemes for survival data".
    """
    rows, known = _read("brier_scores", times, events, curves)
    grid = np.asarray(at, np.float64)
    totals = np.zeros(len(grid))
    for errors, _ in _error_blocks(rows, known, grid, censoring):
        totals += errors.sum(axis=0)
    return totals / max(len(rows.times), 1)


def integrated_brier_score(
    times: ArrayLike, events: ArrayLike, curves: SurvivalCurves, grid: ArrayLike, censoring: StepFunction
) -> float:
    """Returns the mean of `brier_scores` over a grid of times, by the trapezoid rule.

    The grid is part of the number: state it. It should end where enough rows are still observed, as at the 0.9 quantile
    of all times. Arguments: see `brier_scores`.

    Args:
        times: `(N,)`, at least 0 or NaN. Until when a row was observed.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        curves: N of them.
        grid: `(M,)`, ascending, two times or more.
        censoring: `tfmtl.survival.censoring_curve` of the training rows.

    Raises:
        ValueError: as `brier_scores`, or the grid does not ascend.

    Example:

    >>> from tfmtl.survival import censoring_curve
    >>> curves = SurvivalCurves(np.array([2.0]), np.array([[0.5], [0.5]]))
    >>> integrated_brier_score([1, 3], [1, 1], curves, [2.0, 2.5], censoring_curve([1, 3], [1, 1]))
    0.25
    """
    return integrated_brier_rows(times, events, curves, grid, censoring).value


def integrated_brier_rows(
    times: ArrayLike, events: ArrayLike, curves: SurvivalCurves, grid: ArrayLike, censoring: StepFunction
) -> RowSums:
    """Returns the integrated score with each labeled row's part in it. Arguments: see `integrated_brier_score`.

    Example:

    >>> from tfmtl.survival import censoring_curve
    >>> curves = SurvivalCurves(np.array([2.0]), np.array([[0.5], [0.5]]))
    >>> integrated_brier_rows([1, 3], [1, 1], curves, [2.0, 2.5], censoring_curve([1, 3], [1, 1])).wins.tolist()
    [0.25, 0.25]
    """
    owner = "integrated_brier_score"
    rows, known = _read(owner, times, events, curves)
    at = np.asarray(grid, np.float64)
    if at.ndim != 1 or len(at) < 2 or not (np.diff(at) > 0).all():
        advice = "Use for example numpy.linspace(0, t, 101)[1:], t the 0.9 quantile of the times."
        raise ValueError(error_text(owner, "grid", "ascend, with two times or more", at.tolist(), advice))
    widths = np.diff(at)
    trapezoid = (np.append(widths, 0.0) + np.append(0.0, widths)) / 2 / (at[-1] - at[0])
    parts = np.zeros(len(rows.times))
    for errors, where in _error_blocks(rows, known, at, censoring):
        parts[where] = errors @ trapezoid
    return RowSums(parts, np.ones_like(parts))


def _read(owner: str, times: ArrayLike, events: ArrayLike, curves: SurvivalCurves) -> tuple[TimeRows, SurvivalCurves]:
    rows = read_times(owner, times, events)
    check_length(owner, "curves", len(curves), len(rows.present))
    return rows, curves.rows(rows.present)


def _error_blocks(rows: TimeRows, curves: SurvivalCurves, at: NDArray[np.float64], censoring: StepFunction):  # type: ignore[no-untyped-def]
    """Weighted squared errors `(block, M)` with their rows, block by block, so that N x M is never held."""
    ended = event_weights(rows, censoring)
    running = 1.0 / np.maximum(censoring.at(at), LEAST_CENSORING)
    block = max(1, _CELLS // max(len(at), 1))
    for start in range(0, len(rows.times), block):
        where = slice(start, start + block)
        survival = curves.rows(where).at(at)
        over = rows.times[where, None] <= at
        yield np.where(over, ended[where, None] * survival**2, running * (1.0 - survival) ** 2), where
