"""Outcomes: a user's behavior with an item before and after each event."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.event_times import DAY


def within_a_day(rows: pa.Table, behaviors: Sequence[str], is_example: np.ndarray) -> dict[str, pa.Array]:
    """Columns of labels, 1 where the behavior follows within a day, null on rows that are no examples; `is_example`.

    Args:
        rows: as in `outcome`.
        behaviors: the labels.
        is_example: bool `(n,)`.
    """
    labels = {
        behavior: pa.array(outcome(rows, behavior)[1].astype(np.int8), mask=~is_example) for behavior in behaviors
    }
    return {**labels, "is_example": pa.array(is_example.astype(np.int8))}


def outcome(rows: pa.Table, behavior: str) -> tuple[np.ndarray, np.ndarray]:
    """For each row, whether its user and item have such an event before it, and whether within a day from it on.

    Args:
        rows: `user_id`, `item_id`, `behavior` and `timestamp` (seconds), in order of time.
        behavior: the event.
    """
    pairs = np.stack([rows["user_id"].to_numpy(), rows["item_id"].to_numpy()])
    pair = np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1)
    times = rows["timestamp"].to_numpy()
    since = times - times[0] if len(times) else times  # rows are in order of time
    # One number for pair and time; pairs lie so far apart that a day's search never reaches the next one.
    start = pair * (since.max(initial=0) + DAY + 1)
    moments = start + since
    events = np.sort(moments[pc.equal(rows["behavior"], behavior).to_numpy()])
    before = np.searchsorted(events, moments)
    return before > np.searchsorted(events, start), np.searchsorted(events, moments + DAY, "right") > before
