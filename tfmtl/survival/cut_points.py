"""Cut points: the right edges of the intervals of a discrete survival model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.schema.checks import check_positive_int, error_text
from tfmtl.survival._rows import ObservedRows, read_edges, read_observed
from tfmtl.survival.estimates import kaplan_meier

_ROUNDING = 1e-12


@dataclass(frozen=True)
class CutPoints:
    """Right edges of the intervals `(0, e_1], (e_1, e_2], ...`, and what the rows hold in them.

    Shapes: K intervals.

    Args:
        edges: K floats, ascending. The last one is the horizon: nothing is known of longer times.
        asked: int. Requested number of intervals; equal times may give fewer.
        events: K floats. Rows that end in each interval.
        at_risk: K floats. Rows that are observed at the start of each.
    """

    edges: tuple[float, ...]
    asked: int
    events: tuple[float, ...]
    at_risk: tuple[float, ...]

    @property
    def empty(self) -> tuple[int, ...]:
        """Numbers of the intervals without an event, from 0: their hazard cannot be learned."""
        return tuple(number for number, events in enumerate(self.events) if events == 0)


def given_cuts(
    edges: ArrayLike,
    times: ArrayLike,
    events: ArrayLike,
    *,
    entries: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> CutPoints:
    """Returns the user's own intervals, counted.

    Args:
        edges: `(K,)`, ascending, above 0. Right edges; the first interval starts at 0.
        times: `(N,)`, of the training split. NaN is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        entries: `(N,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(N,)`. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Raises:
        ValueError: edges do not ascend from above 0, or the last is above every time.

    Example:

    >>> given_cuts([2, 5], [1, 2, 4, 9], [1, 1, 0, 1]).events
    (2.0, 0.0)
    """
    owner = "given_cuts"
    rows = read_observed(owner, times, events, entries, weights)
    right = read_edges(owner, edges, "List right edges such as [3, 5, 7, 10]; the first interval starts at 0.")
    longest = rows.times.max(initial=0.0)
    if right[-1] > longest:
        advice = "No training row is known beyond it, so an interval there could not be learned; end earlier."
        rule = f"end at most at the longest training time, {longest:g}"
        raise ValueError(error_text(owner, "edges", rule, right.tolist(), advice))
    return _counted(right, len(right), rows)


def equal_cuts(
    number: int,
    times: ArrayLike,
    events: ArrayLike,
    *,
    entries: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> CutPoints:
    """Returns `number` intervals of equal width up to the longest time. Arguments: see `given_cuts`.

    Example:

    >>> equal_cuts(2, [1, 2, 4, 8], [1, 1, 0, 1]).edges
    (4.0, 8.0)
    """
    owner = "equal_cuts"
    rows = _rows_with_events(owner, number, times, events, entries, weights)
    return _counted(np.linspace(0.0, rows.times.max(), number + 1)[1:], number, rows)


def quantile_cuts(
    number: int,
    times: ArrayLike,
    events: ArrayLike,
    *,
    entries: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> CutPoints:
    """Returns intervals with equally many events each, as far as ties allow. Arguments: see `given_cuts`.

    Example:

    >>> quantile_cuts(2, [1, 2, 3, 4, 9], [1, 1, 1, 1, 0]).edges
    (2.0, 4.0)
    """
    owner = "quantile_cuts"
    rows = _rows_with_events(owner, number, times, events, entries, weights)
    order = np.argsort(rows.times[rows.events], kind="stable")
    event_times = rows.times[rows.events][order]
    shares = np.cumsum(rows.weights[rows.events][order])
    shares /= shares[-1]
    wanted = np.arange(1, number + 1) / number - _ROUNDING
    return _counted(event_times[np.searchsorted(shares, wanted)], number, rows)


def survival_quantile_cuts(
    number: int,
    times: ArrayLike,
    events: ArrayLike,
    *,
    entries: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> CutPoints:
    """Returns intervals over which the Kaplan-Meier curve falls by equal steps. Arguments: see `given_cuts`.

    Unlike quantiles of the event times it accounts for censoring: where few are left, an event weighs more.

    Example:

    >>> survival_quantile_cuts(2, [1, 2, 3, 4], [1, 1, 1, 1]).edges
    (2.0, 4.0)

    Reference:
        Kvamme and Borgan 2019, https://arxiv.org/abs/1910.06724, section 3.4.
    """
    owner = "survival_quantile_cuts"
    rows = _rows_with_events(owner, number, times, events, entries, weights)
    curve = kaplan_meier(rows.times, rows.events, entries=rows.entries, weights=rows.weights)
    fallen = 1.0 - curve.values  # ascending
    wanted = fallen[-1] * np.arange(1, number + 1) / number - _ROUNDING
    return _counted(curve.times[np.searchsorted(fallen, wanted)], number, rows)


def _rows_with_events(
    owner: str,
    number: int,
    times: ArrayLike,
    events: ArrayLike,
    entries: ArrayLike | None,
    weights: ArrayLike | None,
) -> ObservedRows:
    check_positive_int(owner, "number", number, "Ask for one interval or more.")
    rows = read_observed(owner, times, events, entries, weights)
    if not (rows.events & (rows.times > 0) & (rows.weights > 0)).any():
        advice = "Without an event at a time above 0 there is nothing to learn; check the column of events."
        raise ValueError(error_text(owner, "events", "hold an event at a time above 0", "none", advice))
    return rows


def _counted(edges: NDArray[np.float64], asked: int, rows: ObservedRows) -> CutPoints:
    right = np.unique(edges[edges > 0])
    number = len(right)
    interval = np.searchsorted(right, rows.times)  # number: beyond the horizon
    ended = rows.weights * rows.events
    events = np.bincount(interval, ended, number + 1)[:number]
    # At risk in an interval: entered before it ends, and not gone before it starts.
    left = np.concatenate([[0.0], right[:-1]])
    entered = np.cumsum(np.bincount(np.searchsorted(right, rows.entries, side="right"), rows.weights, number + 1))
    gone = np.bincount(np.searchsorted(left, rows.times), rows.weights, number + 1)
    gone[:2] = 0.0, gone[0] + gone[1]  # time 0 belongs to the first interval
    at_risk = entered[:number] - np.cumsum(gone)[:number]
    return CutPoints(tuple(right.tolist()), asked, tuple(events.tolist()), tuple(at_risk.tolist()))
