"""Reads and checks what every exact survival metric takes, and drops the rows without a label."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.metrics._labeled_rows import check_length, read_column

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TimeRows:
    """Rows with a known time.

    Shapes: N rows given, M of them labeled.

    Args:
        present: bool `(N,)`. Which of the given rows have a time.
        times: float64 `(M,)`. Until when a row was observed.
        events: bool `(M,)`. Whether it ended then; else it was still running.
    """

    present: NDArray[np.bool_]
    times: Floats
    events: NDArray[np.bool_]


def read_times(owner: str, times: ArrayLike, events: ArrayLike) -> TimeRows:
    """Returns the rows whose time is not NaN; an infinite time is one that outlives all others."""
    time_column, event_column = read_column(owner, "times", times), read_column(owner, "events", events)
    check_length(owner, "events", len(event_column), len(time_column))
    present = ~np.isnan(time_column)
    kept, happened = time_column[present], event_column[present]
    if (kept < 0).any():
        raise ValueError(
            f"{owner}: `times` must be at least 0 or NaN (NaN: no label). Received: times={float(kept.min())!r}. "
            "Count time from the start of each row."
        )
    wrong = (happened != 0) & (happened != 1)
    if wrong.any():
        raise ValueError(
            f"{owner}: `events` must be 0 or 1 where there is a time. Received: events={float(happened[wrong][0])!r}. "
            "Code the end of a row as 1 and 'still running' as 0."
        )
    return TimeRows(present, kept, happened == 1)


def read_risks(owner: str, rows: TimeRows, risks: ArrayLike) -> Floats:
    """Returns the risks of the labeled rows, `(M,)`: any numbers but NaN, higher for those expected to end sooner."""
    column = read_column(owner, "risks", risks)
    check_length(owner, "risks", len(column), len(rows.present))
    kept = column[rows.present]
    if np.isnan(kept).any():
        raise ValueError(
            f"{owner}: `risks` must not be NaN where there is a time. Received: risks=nan. "
            "A model which answers NaN has diverged: look at its loss."
        )
    return kept
