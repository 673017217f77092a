"""Indices for rows that end by one of several causes."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.metrics._labeled_rows import check_length, read_column
from tfmtl.metrics.survival._time_rows import TimeRows, read_times
from tfmtl.metrics.survival.harrell import harrell_index
from tfmtl.metrics.survival.uno import LEAST_CENSORING, event_weights
from tfmtl.schema.checks import error_text
from tfmtl.survival import StepFunction


def harrell_index_of_cause(
    times: ArrayLike, events: ArrayLike, causes: ArrayLike, risks: ArrayLike, cause: int
) -> float:
    """Returns `harrell_index` for one cause: a row that ended by another never ends by this one.

    Such a row so outlives every row, and is no censored one: of it the answer is known.

    Shapes: N rows.

    Args:
        times: `(N,)`, at least 0 or NaN. Until when a row was observed. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        causes: `(N,)`. The cause's number where a row ended; not read elsewhere.
        risks: `(N,)`. Anything rising with how soon a row is expected to end by this cause, as its incidence.
        cause: int. The number of the cause.

    Returns:
        The index, in [0, 1]. NaN where no pair is comparable.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: lengths differ, a time is negative, an event not 0 or 1, or a labeled row's risk is NaN.

    Example:

    >>> harrell_index_of_cause([1, 2, 3], [1, 1, 1], [1, 0, 1], [0.9, 0.1, 0.5], cause=1)
    1.0

    Reference:
        Wolbers et al. 2014, "Concordance for prognostic models with competing risks".
    """
    rows, own = _read("harrell_index_of_cause", times, events, causes, cause)
    scores = read_column("harrell_index_of_cause", "risks", risks)
    check_length("harrell_index_of_cause", "risks", len(scores), len(rows.present))
    never = rows.events & ~own
    return harrell_index(np.where(never, math.inf, rows.times), own, scores[rows.present])


def brier_scores_of_cause(
    times: ArrayLike,
    events: ArrayLike,
    causes: ArrayLike,
    incidence: ArrayLike,
    at: ArrayLike,
    censoring: StepFunction,
    cause: int,
) -> NDArray[np.float64]:
    """Returns the mean squared error of "has ended by this cause by t", weighted for censoring.

    Shapes: N rows, M times.

    Args:
        times: `(N,)`, at least 0 or NaN. Until when a row was observed. A row whose time is NaN (no label) is dropped.
        events: `(N,)`, 1 ended at its time, 0 still running then.
        causes: `(N,)`. The cause's number where a row ended; not read elsewhere.
        incidence: `(N, M)`. Predicted chance to have ended by this cause at each time.
        at: `(M,)`. The times t.
        censoring: `tfmtl.survival.censoring_curve` of the training rows. Below 0.001 it counts as that.
        cause: int. The number of the cause.

    Returns:
        float64 `(M,)`, at least 0.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: lengths differ, a time is negative, or an event not 0 or 1.

    Example:

    >>> from tfmtl.survival import censoring_curve
    >>> curve = censoring_curve([1, 2], [1, 1])
    >>> brier_scores_of_cause([1, 2], [1, 1], [0, 1], [[0.8], [0.2]], [1.5], curve, cause=0).round(2).tolist()
    [0.04]

    Reference:
        Gerds and Schumacher 2006, "Consistent estimation of the expected Brier score in general survival models with
        right-censored event times"; Schoop et al. 2011 for competing risks.
    """
    owner = "brier_scores_of_cause"
    rows, own = _read(owner, times, events, causes, cause)
    grid, predicted = np.asarray(at, np.float64), np.asarray(incidence, np.float64)
    if predicted.shape != (len(rows.present), len(grid)):
        rule, advice = f"be ({len(rows.present)}, {len(grid)})", "Give one value for each row and time."
        raise ValueError(error_text(owner, "incidence.shape", rule, predicted.shape, advice))
    predicted = predicted[rows.present]
    running = 1.0 / np.maximum(censoring.at(grid), LEAST_CENSORING)
    weights = np.where(rows.times[:, None] <= grid, event_weights(rows, censoring)[:, None], running)
    happened = own[:, None] & (rows.times[:, None] <= grid)
    return (weights * (happened - predicted) ** 2).sum(axis=0) / max(len(rows.times), 1)  # type: ignore[no-any-return]


def _read(
    owner: str, times: ArrayLike, events: ArrayLike, causes: ArrayLike, cause: int
) -> tuple[TimeRows, NDArray[np.bool_]]:
    rows = read_times(owner, times, events)
    column = read_column(owner, "causes", causes)
    check_length(owner, "causes", len(column), len(rows.present))
    return rows, rows.events & (column[rows.present] == cause)
