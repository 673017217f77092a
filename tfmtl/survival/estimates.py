"""Estimates of survival without features: Kaplan-Meier, Nelson-Aalen, and the same of censoring."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.survival._rows import ObservedRows, read_observed
from tfmtl.survival.step_function import StepFunction

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _RiskTable:
    """For every distinct time: the rows at risk just before it, and the rows that end or are censored."""

    times: Floats
    at_risk: Floats
    events: Floats
    censored: Floats


def kaplan_meier(
    times: ArrayLike, events: ArrayLike, *, entries: ArrayLike | None = None, weights: ArrayLike | None = None
) -> StepFunction:
    """Returns the share that lives longer than t: the product over event times up to t of `1 - d / n`.

    Here d rows end at a time and n are at risk: entered before it and not gone earlier. A row censored at the time of
    an event is at risk of it.

    Shapes: N rows.

    Args:
        times: `(N,)`, at least 0, in one unit. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        entries: `(N,)`. Age from which on a row was observed (left truncation). Defaults to `None`, from the start.
        weights: `(N,)`. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        A `StepFunction` that starts at 1.

    Raises:
        ValueError: a column is not `(N,)`, a time is negative, or an event is not 0 or 1.

    Example:

    >>> kaplan_meier([1, 2, 2, 3], [1, 1, 0, 1]).values.tolist()
    [0.75, 0.5, 0.0]

    Reference:
        Kaplan and Meier 1958, "Nonparametric estimation from incomplete observations".
    """
    table = _risk_table(read_observed("kaplan_meier", times, events, entries, weights))
    return _product_limit(table.times, table.events, table.at_risk)


def nelson_aalen(
    times: ArrayLike, events: ArrayLike, *, entries: ArrayLike | None = None, weights: ArrayLike | None = None
) -> StepFunction:
    """Returns the cumulative hazard: the sum over event times up to t of `d / n`. Arguments: see `kaplan_meier`.

    Example:

    >>> nelson_aalen([1, 2, 2, 3], [1, 1, 0, 1]).at(2).round(4).tolist()
    0.5833

    Reference:
        Aalen 1978, "Nonparametric inference for a family of counting processes".
    """
    table = _risk_table(read_observed("nelson_aalen", times, events, entries, weights))
    jumps = table.events > 0
    return StepFunction(table.times[jumps], np.cumsum(table.events[jumps] / table.at_risk[jumps]), start=0.0)


def censoring_curve(times: ArrayLike, events: ArrayLike, *, weights: ArrayLike | None = None) -> StepFunction:
    """Returns G, the share that is observed for longer than t: Kaplan-Meier with censoring as the event.

    A row that ends at the time of a censoring ends first, so it is not at risk of being censored then. Arguments: see
    `kaplan_meier`. Its median is the median follow-up.

    Example:

    >>> censoring_curve([1, 2, 2, 3], [1, 1, 0, 1]).values.tolist()
    [0.5]
    """
    table = _risk_table(read_observed("censoring_curve", times, events, None, weights))
    return _product_limit(table.times, table.censored, table.at_risk - table.events)


def median_follow_up(times: ArrayLike, events: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Returns how long half of the rows would have been observed had none ended (reverse Kaplan-Meier).

    NaN if fewer than half were censored before the last time: it is then longer than what was seen. Arguments: see
    `kaplan_meier`.

    Example:

    >>> median_follow_up([1, 2, 3, 4], [1, 0, 0, 0])
    3.0

    Reference:
        Schemper and Smith 1996, "A note on quantifying follow-up in studies of failure time".
    """
    curve = censoring_curve(times, events, weights=weights)
    reached = np.flatnonzero(curve.values <= 0.5 + 1e-12)
    return float(curve.times[reached[0]]) if reached.size else math.nan


def _risk_table(rows: ObservedRows) -> _RiskTable:
    times, position = np.unique(rows.times, return_inverse=True)
    totals: Floats = np.bincount(position, rows.weights, len(times)).astype(np.float64)
    events: Floats = np.bincount(position, rows.weights * rows.events, len(times)).astype(np.float64)
    # Of the rows that leave at a time or later, those which had not entered before it are not at risk.
    late = np.searchsorted(times, rows.entries, side="right")
    entered_at = np.bincount(late, rows.weights, len(times) + 1)[:-1]
    left_before = np.concatenate([[0.0], np.cumsum(totals)[:-1]])
    return _RiskTable(times, np.cumsum(entered_at) - left_before, events, totals - events)


def _product_limit(times: Floats, leaving: Floats, at_risk: Floats) -> StepFunction:
    jumps = leaving > 0
    survival: Floats = np.cumprod((at_risk[jumps] - leaving[jumps]) / at_risk[jumps]).astype(np.float64)
    return StepFunction(times[jumps], survival, start=1.0)
