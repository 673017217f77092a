"""The Breslow estimate of a Cox model's baseline."""

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.survival._rows import read_observed
from tfmtl.survival.step_function import StepFunction


def breslow_baseline(
    times: ArrayLike,
    events: ArrayLike,
    log_risks: ArrayLike,
    *,
    entries: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> StepFunction:
    """Returns the cumulative hazard of a row of log risk 0: the sum over event times of `d / sum_risk_set e^r`.

    With it a Cox model has curves, `S(t | r) = exp(-H(t) e^r)`. With r = 0 it is the Nelson-Aalen estimate.

    Shapes: N rows.

    Args:
        times: `(N,)`, at least 0. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        log_risks: `(N,)`, finite. The model's output r.
        entries: `(N,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(N,)`. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        A `StepFunction` that starts at 0.

    Raises:
        ValueError: a column is not `(N,)`, a time is negative, or an event is not 0 or 1.

    Example:

    >>> breslow_baseline([1, 2, 3], [1, 0, 1], [0.0, 0.0, 0.0]).values.round(3).tolist()
    [0.333, 1.333]

    Reference:
        Breslow 1972, discussion of Cox, "Regression models and life-tables".
    """
    rows = read_observed("breslow_baseline", times, events, entries, weights)
    risks = rows.weights * np.exp(np.asarray(log_risks, np.float64)[rows.present])
    jumps = np.unique(rows.times[rows.events])
    deaths = np.bincount(np.searchsorted(jumps, rows.times[rows.events]), rows.weights[rows.events], len(jumps))
    # At risk at a jump: entered before it (entry < jump) and not gone before it (time >= jump).
    entered = np.bincount(np.searchsorted(jumps, rows.entries, side="right"), risks, len(jumps) + 1)[:-1]
    gone = np.bincount(np.searchsorted(jumps, rows.times, side="right"), risks, len(jumps) + 1)[:-1]
    return StepFunction(jumps, np.cumsum(deaths / (np.cumsum(entered) - np.cumsum(gone))), start=0.0)
