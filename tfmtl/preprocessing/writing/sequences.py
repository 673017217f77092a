"""Point-in-time windows of events."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """Example i owns the events `rows[starts[i]:stops[i]]`, oldest first; windows of a user overlap.

    Attributes:
        rows: int `(e,)`, the rows that are events.
        starts: int `(m,)`.
        stops: int `(m,)`.
    """

    rows: np.ndarray
    starts: np.ndarray
    stops: np.ndarray


def event_windows(
    users: np.ndarray, times: np.ndarray, is_event: np.ndarray, examples: np.ndarray, max_length: int
) -> Windows:
    """The last `max_length` events of the same user strictly before each example's time.

    Rows must be sorted by user, then time. An event at exactly the example's
    time is not part of its history: it may be the example itself or its outcome.
    A user's events lie in a row, so a window is two numbers however long it is.

    Args:
        users: int `(n,)`, the user of each row.
        times: int `(n,)`.
        is_event: bool `(n,)`.
        examples: int `(m,)`, rows that are examples.
        max_length: int.

    Returns:
        `Windows` with `m` windows.
    """
    num_rows = len(users)
    before = np.concatenate([[0], np.cumsum(is_event)])  # events in rows[:k]
    new_user = np.ones(num_rows, bool)
    new_user[1:] = users[1:] != users[:-1]
    new_time = new_user.copy()
    new_time[1:] |= times[1:] != times[:-1]
    first_of_user = np.maximum.accumulate(np.where(new_user, np.arange(num_rows), 0))
    first_of_time = np.maximum.accumulate(np.where(new_time, np.arange(num_rows), 0))
    stops = before[first_of_time[examples]]
    starts = np.maximum(before[first_of_user[examples]], stops - max_length)
    return Windows(np.flatnonzero(is_event), starts, stops)
