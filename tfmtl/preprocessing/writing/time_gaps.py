"""Times from events to examples as ids, for all windows of a slice at once."""

import numpy as np

from tfmtl.schema import SequenceFeature
from tfmtl.schema.reserved import RESERVED_IDS

_FLOAT_BITS, _EXPONENT_OF_HALF = 23, 126  # of float32
_SMALL = np.iinfo(np.int32).max


class TimeGaps:
    """The gaps of a sequence's windows: the ids of `RawTransform.encode_gap`, in NumPy and mostly in 32 bits.

    As TensorFlow operations they took ten times as long, most of it for memory that each of them allocates anew.

    Args:
        sequence: `SequenceFeature`.
        ticks_per_second: int. The unit of times.
        rows: int64 `(n,)`, times of the rows that examples are taken from.
        events: int64 `(e,)`, times of the events.
    """

    def __init__(self, sequence: SequenceFeature, ticks_per_second: int, rows: np.ndarray, events: np.ndarray) -> None:
        self._last_bucket = sequence.time_gap_buckets - 1
        self._ticks = ticks_per_second
        times = [int(bound) for each in (rows, events) if len(each) for bound in (each.min(), each.max())] or [0]
        first, fits = min(times), max(times) - min(times) <= _SMALL
        self._rows = (rows - first).astype(np.int32) if fits else rows
        self._events = (events - first).astype(np.int32) if fits else events

    def ids(self, rows: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
        """Ids 2 and up of the events of all windows, one window after the other.

        Args:
            rows: int `(m,)`, the row of each example.
            starts: int `(m,)`, the first event of its window.
            stops: int `(m,)`, the event behind its last.

        Returns:
            int32 `(sum(stops - starts),)`.
        """
        lengths = stops - starts
        ends = np.cumsum(lengths)
        places = np.arange(lengths.sum(), dtype=np.int32)
        places += np.repeat((starts - ends + lengths).astype(np.int32), lengths)
        seconds = np.repeat(self._rows[rows], lengths)
        seconds -= self._events[places]
        if self._ticks != 1:
            seconds //= self._ticks
        np.maximum(seconds, 0, out=seconds)
        return self._bucket(seconds)

    def _bucket(self, seconds: np.ndarray) -> np.ndarray:
        # The place of the first bit, from the exponent of a float; without the second bit it is never rounded up.
        second_bits = seconds >> 1
        second_bits &= seconds
        seconds -= second_bits
        ids: np.ndarray = seconds.astype(np.float32).view(np.int32)
        ids >>= _FLOAT_BITS
        ids -= _EXPONENT_OF_HALF
        np.clip(ids, 0, self._last_bucket, out=ids)
        ids += RESERVED_IDS
        return ids
