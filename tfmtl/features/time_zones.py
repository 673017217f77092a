"""Offsets of time zones from UTC, as tables that a graph can search."""

import datetime
import zoneinfo
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

DAY = 86_400
_YEARS = (1970, 2100)  # whose changes of clocks are kept


@cache  # it takes a tenth of a second: zones tell the offset of a moment, and nothing of when it changes
def utc_offsets(time_zone: str) -> tuple[list[int], list[int]]:
    """First seconds of spans of one offset, and the offsets before, between and behind them, in seconds."""
    zone = zoneinfo.ZoneInfo(time_zone)

    def offset(second: int) -> int:
        return int((datetime.datetime.fromtimestamp(second, zone).utcoffset() or datetime.timedelta()).total_seconds())

    first, last = (int(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC).timestamp()) for year in _YEARS)
    starts, offsets = [], [offset(first)]
    for day in range(first, last, DAY):
        low, high = day, day + DAY
        if offset(high) == offsets[-1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
        starts.append(high)
        offsets.append(offset(high))
    return starts, offsets


def local_seconds(seconds: Any, starts: Any, offsets: Any) -> Any:
    """Seconds since 1970 on the clocks of a place, of seconds since 1970 in UTC.

    Args:
        seconds: int64 `(N,)`, an array or a tensor.
        starts: first seconds of the spans, as `utc_offsets` gives them.
        offsets: likewise, the offsets.

    Returns:
        int64 `(N,)`, an array for an array and a tensor for a tensor.
    """
    if not len(starts):  # one offset for all times, such as UTC has
        return seconds + offsets[0]
    if isinstance(seconds, np.ndarray):
        return seconds + np.array(offsets, np.int64)[np.searchsorted(starts, seconds, side="right")]
    place = tf.searchsorted(tf.constant(starts, tf.int64), seconds, side="right")
    return seconds + tf.gather(tf.constant(offsets, tf.int64), place)
