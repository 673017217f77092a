"""Antolini's time-dependent concordance index."""

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import check_length
from tfmtl.metrics.survival._time_rows import read_times
from tfmtl.metrics.survival.row_sums import RowSums
from tfmtl.survival import SurvivalCurves

_CELLS = 4_000_000
"""Comparisons made at once: some 100 MiB, whatever the number of rows."""


def antolini_index(times: ArrayLike, events: ArrayLike, curves: SurvivalCurves) -> float:
    """Returns the share of comparable pairs whose curves are in order when the first row ends: S_i(t_i) < S_j(t_i).

    Comparable pairs are those of `harrell_index`, a tie is one half. Where curves do not cross, the two are equal.
    Not weighted for censoring. Exact, in blocks: all rows are compared at every event, O(N^2).

    Shapes: N rows.

    Args:
        times: `(N,)`, at least 0 or NaN. Until when a row was observed. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        curves: N of them.

    Returns:
        The index, in [0, 1]; 0.5 for one curve for all. NaN where no pair is comparable.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: lengths differ, a time is negative, or an event not 0 or 1.

    Example:

    >>> curves = SurvivalCurves(np.array([2.0]), np.array([[0.1], [0.6], [0.5]]))
    >>> antolini_index([1, 2, 3], [1, 1, 0], curves).__round__(4)
    0.6667

    Reference:
        Antolini et al. 2005, "A time-dependent discrimination index for survival data".
    """
    return antolini_rows(times, events, curves).value


def antolini_rows(times: ArrayLike, events: ArrayLike, curves: SurvivalCurves) -> RowSums:
    """Returns the index with each labeled row's part in it. Arguments: see `antolini_index`.

    Example:

    >>> curves = SurvivalCurves(np.array([2.0]), np.array([[0.1], [0.6]]))
    >>> antolini_rows([1, 2], [1, 0], curves).pairs.tolist()
    [1.0, 1.0]
    """
    owner = "antolini_index"
    rows = read_times(owner, times, events)
    check_length(owner, "curves", len(curves), len(rows.present))
    known = curves.rows(rows.present)
    size = len(rows.times)
    wins, pairs = np.zeros(size), np.zeros(size)
    ended = np.flatnonzero(rows.events)
    block = max(1, _CELLS // max(size, 1))
    for start in range(0, len(ended), block):
        chosen = ended[start : start + block]
        at = rows.times[chosen]
        survival = known.at(at)  # (M, block)
        own = survival[chosen, np.arange(len(chosen))]
        comparable = (rows.times[:, None] > at) | ((rows.times[:, None] == at) & ~rows.events[:, None])
        won = comparable * ((own < survival) + 0.5 * (own == survival))
        wins += won.sum(axis=1)
        pairs += comparable.sum(axis=1)
        wins[chosen] += won.sum(axis=0)
        pairs[chosen] += comparable.sum(axis=0)
    return RowSums(wins, pairs, counted=2)
