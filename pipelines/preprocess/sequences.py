"""Point-in-time windows over a user's events."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """For every example the rows of its events, flat: example i owns `rows[offsets[i]:offsets[i + 1]]`."""

    rows: np.ndarray
    offsets: np.ndarray


def event_windows(
    users: np.ndarray, times: np.ndarray, is_event: np.ndarray, examples: np.ndarray, max_length: int
) -> Windows:
    """The last `max_length` events of the same user strictly before each example's time.

    Rows must be sorted by user, then time. An event at exactly the example's
    time is not part of its history: it may be the example itself or its outcome.

    Args:
        users: int `(n,)`, the user of each row.
        times: int `(n,)`.
        is_event: bool `(n,)`.
        examples: int `(m,)`, rows that are examples.
        max_length: int.

    Returns:
        `Windows` with `m` windows, each oldest event first.
    """
    num_rows = len(users)
    events = np.flatnonzero(is_event)
    before = np.concatenate([[0], np.cumsum(is_event)])  # events in rows[:k]
    new_user = np.ones(num_rows, bool)
    new_user[1:] = users[1:] != users[:-1]
    new_time = new_user.copy()
    new_time[1:] |= times[1:] != times[:-1]
    first_of_user = np.maximum.accumulate(np.where(new_user, np.arange(num_rows), 0))
    first_of_time = np.maximum.accumulate(np.where(new_time, np.arange(num_rows), 0))
    end = before[first_of_time[examples]]
    start = np.maximum(before[first_of_user[examples]], end - max_length)
    lengths = end - start
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    flat = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], lengths)
    return Windows(rows=events[flat], offsets=offsets)
