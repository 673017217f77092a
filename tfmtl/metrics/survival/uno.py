"""Uno's concordance index."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.metrics.survival._pair_counts import counts_of_smaller_keys
from tfmtl.metrics.survival._time_rows import TimeRows, read_risks, read_times
from tfmtl.metrics.survival.row_sums import RowSums
from tfmtl.survival import StepFunction

LEAST_CENSORING = 1e-3
"""Where fewer are still observed a weight would explode; G is taken for this there."""


def uno_index(
    times: ArrayLike, events: ArrayLike, risks: ArrayLike, censoring: StepFunction, until: float = math.inf
) -> float:
    """Returns a concordance that does not depend on when rows were censored.

    Pairs are those whose first row ended before `until` and whose other lived longer; each weighs `1 / G(t_i-)^2`, with
    G the share still observed, so that pairs lost to censoring are stood for by those that were not. A tie of risks is
    one half. Exact: O(N log^2 N), memory O(N).

    Shapes: N rows.

    Args:
        times: `(N,)`, at least 0 or NaN. Until when a row was observed. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        risks: `(N,)`. Anything rising with how soon a row is expected to end.
        censoring: `tfmtl.survival.censoring_curve` of the training rows. Below 0.001 it counts as that.
        until: float. Defaults to no limit; the weights of the last events then rest on few rows.

    Returns:
        The index, in [0, 1]; 0.5 for a constant risk. NaN where no pair is comparable.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a column is not `(N,)`, a time is negative, an event not 0 or 1, or a labeled row's risk is NaN.

    Example:

    >>> from tfmtl.survival import censoring_curve
    >>> times, events = [1, 2, 3], [1, 0, 1]
    >>> uno_index(times, events, [0.9, 0.2, 0.4], censoring_curve(times, events))
    1.0

    Reference:
        Uno et al. 2011, "On the C-statistics for evaluating overall adequacy of risk prediction procedures with
        censored survival data".
    """
    rows = read_times("uno_index", times, events)
    return _winning(rows, read_risks("uno_index", rows, risks), _weights(rows, censoring, until)).value


def uno_rows(
    times: ArrayLike, events: ArrayLike, risks: ArrayLike, censoring: StepFunction, until: float = math.inf
) -> RowSums:
    """Returns the index with each labeled row's part in it. Arguments: see `uno_index`.

    Example:

    >>> from tfmtl.survival import censoring_curve
    >>> uno_rows([1, 2], [1, 1], [2.0, 1.0], censoring_curve([1, 2], [1, 1])).wins.tolist()
    [1.0, 1.0]
    """
    rows = read_times("uno_rows", times, events)
    kept, weights = read_risks("uno_rows", rows, risks), _weights(rows, censoring, until)
    earlier = _winning(rows, kept, weights)
    seen = counts_of_smaller_keys(_ranks(rows), -kept, weights)
    return RowSums(earlier.wins + seen.below + seen.equal / 2, earlier.pairs + seen.total, counted=2)


def event_weights(rows: TimeRows, censoring: StepFunction) -> NDArray[np.float64]:
    """Returns `1 / G(t_i-)` of rows that ended, 0 of others, `(M,)`."""
    return rows.events / np.maximum(censoring.before(rows.times), LEAST_CENSORING)


def _weights(rows: TimeRows, censoring: StepFunction, until: float) -> NDArray[np.float64]:
    weights = event_weights(rows, censoring)
    return np.where(rows.times < until, np.square(weights), 0.0)


def _ranks(rows: TimeRows) -> NDArray[np.int64]:
    _, rank = np.unique(rows.times, return_inverse=True)
    return rank.reshape(-1)


def _winning(rows: TimeRows, risks: NDArray[np.float64], weights: NDArray[np.float64]) -> RowSums:
    counts = counts_of_smaller_keys(-_ranks(rows), risks, np.ones(len(risks)))
    return RowSums(weights * (counts.below + counts.equal / 2), weights * counts.total)
