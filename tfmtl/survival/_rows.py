"""Read and check the columns of observed lifetimes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.schema.checks import error_text

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ObservedRows:
    """Rows with a known time.

    Shapes: N rows.

    Args:
        times: float64 `(N,)`, at least 0. Until when a row was observed.
        events: bool `(N,)`. Whether it ended then; else it was still running (censored).
        entries: float64 `(N,)`. Age from which on it was observed, `-inf` for the start: at risk at time 0 too.
        weights: float64 `(N,)`. How many rows it stands for.
        present: bool. Which of the given rows these are.
    """

    times: Floats
    events: NDArray[np.bool_]
    entries: Floats
    weights: Floats
    present: NDArray[np.bool_]


def read_observed(
    owner: str,
    times: ArrayLike,
    events: ArrayLike,
    entries: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> ObservedRows:
    """Returns the rows whose time is not NaN, checked."""
    time_column = _column(owner, "times", times)
    event_column = _column(owner, "events", events, len(time_column))
    present = ~np.isnan(time_column)
    entry_column = np.zeros_like(time_column) if entries is None else _column(owner, "entries", entries, len(present))
    weight_column = np.ones_like(time_column) if weights is None else _column(owner, "weights", weights, len(present))
    kept, happened = time_column[present], event_column[present]
    _check(owner, "times", kept, kept >= 0, "be at least 0 or NaN (NaN: no label)")
    _check(owner, "events", happened, (happened == 0) | (happened == 1), "be 0 or 1 where there is a time")
    kept_weights = weight_column[present]
    _check(owner, "weights", kept_weights, np.isfinite(kept_weights) & (kept_weights >= 0), "be finite, at least 0")
    kept_entries = entry_column[present]
    _check(owner, "entries", kept_entries, ~(kept_entries >= kept) | (kept_entries <= 0), "lie below the row's time")
    kept_entries = np.where(kept_entries > 0, kept_entries, -np.inf)  # also where NaN: observed from the start
    return ObservedRows(kept, happened == 1, kept_entries, kept_weights, present)


def read_edges(owner: str, edges: ArrayLike, advice: str) -> Floats:
    """Returns the right edges of intervals, `(K,)`; raises `ValueError` unless they ascend from above 0."""
    right = np.asarray(edges, np.float64)
    if right.ndim != 1 or not right.size or not (np.diff(right, prepend=0.0) > 0).all():
        raise ValueError(error_text(owner, "edges", "ascend from above 0", right.tolist(), advice))
    return right


def _column(owner: str, argument: str, values: ArrayLike, length: int | None = None) -> Floats:
    column = np.asarray(values, np.float64)
    if column.ndim != 1 or (length is not None and len(column) != length):
        rule = "be (N,)" if length is None else f"be ({length},), as `times`"
        raise ValueError(error_text(owner, f"{argument}.shape", rule, column.shape, "Pass one value for each row."))
    return column


def _check(owner: str, argument: str, values: Floats, valid: NDArray[np.bool_], rule: str) -> None:
    if not valid.all():
        raise ValueError(error_text(owner, argument, rule, float(values[~valid][0]), "Drop or mend such rows first."))
