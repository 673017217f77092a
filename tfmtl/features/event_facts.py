"""What derived features ask of a sequence's events, and its answer from padded tensors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmtl.schema.features.history import STATISTICS

LARGEST = 2**63 - 1
"""Seconds since an event that there is not."""


class EventFacts(ABC):
    """What is known of the events of a sequence, a value for each request; exact, whatever computes it.

    A serving graph computes it of padded windows (`PaddedEvents`), a worker of ranges in sorted columns, in NumPy.
    """

    @abstractmethod
    def count(self) -> Any:
        """How many events there are, int64 `(b,)`."""

    @abstractmethod
    def newest(self) -> Any:
        """Whole seconds since the newest event, int64 `(b,)`; of no event any number."""

    @abstractmethod
    def oldest(self) -> Any:
        """Whole seconds since the oldest event, int64 `(b,)`; of no event any number."""

    @abstractmethod
    def within(self, seconds: Sequence[int]) -> Sequence[Any]:
        """How many events there were in the last so many seconds, int64 `(b,)` for each."""

    @abstractmethod
    def matches(self, column: str, own: Any) -> tuple[Any, Any | None]:
        """How many events have the request's own value, and seconds since the newest of them, int64 `(N,)` each.

        Args:
            column: a column of the sequence.
            own: int64 `(N,)`, the requests' own fingerprints, 0 where missing, which is equal to nothing.

        Returns:
            tuple: the second is any number where the first is 0, and `None` of a sequence without times.
        """

    @abstractmethod
    def statistics(self, column: str) -> Mapping[str, Any]:
        """Mean, sum and extremes of a number over the events, float64 `(b,)`, NaN without a number."""


class PaddedEvents(EventFacts):
    """Facts of padded windows `(b, n)`, in TensorFlow.

    Args:
        present: bool `(b, n)`, where there is an event.
        ages: int64 `(b, n)`, whole seconds from event to request; `None` where they have no times.
        columns: column -> fingerprints, int64 `(b, n)`.
        numbers: column -> float64 `(b, n)`, NaN where missing.
    """

    def __init__(
        self,
        present: tf.Tensor,
        ages: tf.Tensor | None,
        columns: Mapping[str, tf.Tensor],
        numbers: Mapping[str, tf.Tensor],
    ) -> None:
        self._present = present
        self._ages = ages
        self._columns = columns
        self._numbers = numbers

    def count(self) -> tf.Tensor:
        return _total(self._present)

    def newest(self) -> tf.Tensor:
        return tf.reduce_min(self._of_events, axis=1)

    def oldest(self) -> tf.Tensor:
        return tf.reduce_max(self._ages * tf.cast(self._present, tf.int64), axis=1)

    def within(self, seconds: Sequence[int]) -> list[tf.Tensor]:
        least = tf.constant(seconds, tf.int64)[:, tf.newaxis, tf.newaxis]
        counts: list[tf.Tensor] = tf.unstack(_total(self._of_events <= least), num=len(seconds))
        return counts

    @property
    def _of_events(self) -> tf.Tensor:
        return tf.where(self._present, self._ages, LARGEST)

    def matches(self, column: str, own: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        # Events that are missing or not there have the fingerprint 0, which is then nobody's.
        own = tf.where(own == 0, tf.constant(-1, tf.int64), own)
        if self._columns[column].shape[0] == 1:
            return self._matches_of_one(self._columns[column], own)
        hits = self._columns[column] == own[:, tf.newaxis]  # (N, n)
        newest = None if self._ages is None else tf.reduce_min(tf.where(hits, self._ages, LARGEST), axis=1)
        return _total(hits), newest

    def _matches_of_one(self, values: tf.Tensor, own: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The matches of N candidates with the events `(1, n)` of one user, found by bisection, not N times n times."""
        ordered = tf.sort(values)
        first, last = (
            search(sorted_inputs=ordered, values=own[tf.newaxis], out_type=tf.int64)[0]
            for search in (tf.raw_ops.LowerBound, tf.raw_ops.UpperBound)
        )
        if self._ages is None:
            return last - first, None
        places = tf.raw_ops.LowerBound(sorted_inputs=ordered, values=values)[0]  # equal events have one place
        newest = tf.math.unsorted_segment_min(self._ages[0], places, tf.size(values) + 1)
        return last - first, tf.gather(newest, first)

    def statistics(self, column: str) -> dict[str, tf.Tensor]:
        numbers = self._numbers[column]
        known = self._present & tf.math.is_finite(numbers)
        values = tf.where(known, numbers, tf.zeros_like(numbers))
        # One after the other: the result must not depend on how far a row is filled up.
        sums = tf.pad(tf.math.cumsum(values, axis=1), [[0, 0], [1, 0]])[:, -1]
        count = tf.cast(_total(known), tf.float64)
        infinite = tf.constant(float("inf"), tf.float64)
        extremes = [
            tf.reduce_min(tf.where(known, numbers, infinite), axis=1),
            tf.reduce_max(tf.where(known, numbers, -infinite), axis=1),
        ]
        nan = tf.constant(float("nan"), tf.float64)
        found = (tf.math.divide_no_nan(sums, count), sums, *extremes)
        return {name: tf.where(count > 0.0, each, nan) for name, each in zip(STATISTICS, found, strict=True)}


def _total(where: tf.Tensor) -> tf.Tensor:
    """How many of each row, `(..., n)` -> int64 `(...)`."""
    # Three times as fast as `count_nonzero`, which casts to int64 first; a row has fewer than 2**31 events.
    return tf.cast(tf.reduce_sum(tf.cast(where, tf.int32), axis=-1), tf.int64)
