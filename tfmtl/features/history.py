"""History features: counts, gaps and means of a sequence."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.features.decoded import Decoded, decode_fixed
from tfmtl.features.feature_behavior import FeatureBehavior
from tfmtl.features.fixed_scales import count_twice, share_twice, signed_twice
from tfmtl.features.request_view import LARGEST, RequestView
from tfmtl.schema.features.derived import has_times
from tfmtl.schema.features.history import STATISTICS, WINDOWS


class HistoryBehavior(FeatureBehavior):
    """Statistics of a sequence at the time of a request; see `HistoryFeature`."""

    def derive(self, view: RequestView) -> dict[str, tf.Tensor]:
        record, name = self.record, self.name
        present = view.present[record.of]
        count = total(present)
        is_none = count == 0
        found = count_twice(f"{name}_count", count, is_none)
        if has_times(self.problem, record.of):
            ages = seconds_since(view, record.of, self.problem.keys.ticks_per_second)
            of_events = tf.where(present, ages, LARGEST)
            found |= count_twice(f"{name}_newest", tf.reduce_min(of_events, axis=1), is_none)
            found |= count_twice(f"{name}_oldest", tf.reduce_max(ages * tf.cast(present, tf.int64), axis=1), is_none)
            for window, seconds in WINDOWS.items():
                found |= count_twice(f"{name}_last_{window}", total(of_events <= seconds), is_none)
        for column in record.mean:
            for statistic, values in _statistics(view.numbers[record.of][column], present).items():
                found |= signed_twice(f"{name}_{statistic}_{column}", values)
        if record.share_of:
            found |= share_twice(f"{name}_share", count, total(view.present[record.share_of]))
        return found

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        counts = (f"{self.name}_count", f"{self.name}_last_")
        return {
            field: decode_fixed(encoded, field, scale, zero_if_none=field.startswith(counts))
            for field, scale in self.record.scales(self.problem).items()
        }


def total(where: tf.Tensor) -> tf.Tensor:
    """How many of each row, int64 `(b,)`."""
    # Three times as fast as `count_nonzero`, which casts to int64 first; a row has fewer than 2**31 events.
    return tf.cast(tf.reduce_sum(tf.cast(where, tf.int32), axis=1), tf.int64)


def seconds_since(view: RequestView, sequence: str, ticks_per_second: int) -> tf.Tensor:
    """Whole seconds from every event to the request, int64 `(b, n)`."""
    if view.now is None:
        raise ValueError("RequestView: `now` must be given to features that read times.")
    ticks = view.now[:, tf.newaxis] - view.times[sequence]
    return ticks if ticks_per_second == 1 else ticks // ticks_per_second


def _statistics(numbers: tf.Tensor, present: tf.Tensor) -> dict[str, tf.Tensor]:
    """Mean, sum and extremes of each row, float64 `(b,)`, NaN without a number."""
    known = present & tf.math.is_finite(numbers)
    values = tf.where(known, numbers, tf.zeros_like(numbers))
    # One after the other: the result must not depend on how far a row is filled up.
    sums = tf.pad(tf.math.cumsum(values, axis=1), [[0, 0], [1, 0]])[:, -1]
    count = tf.cast(total(known), tf.float64)
    infinite = tf.constant(float("inf"), tf.float64)
    extremes = [
        tf.reduce_min(tf.where(known, numbers, infinite), axis=1),
        tf.reduce_max(tf.where(known, numbers, -infinite), axis=1),
    ]
    nan = tf.constant(float("nan"), tf.float64)
    found = (tf.math.divide_no_nan(sums, count), sums, *extremes)
    return {name: tf.where(count > 0.0, each, nan) for name, each in zip(STATISTICS, found, strict=True)}
