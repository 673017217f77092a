"""Match features: events that have the request's own value."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.features.decoded import Decoded, decode_fixed
from tfmtl.features.feature_behavior import FeatureBehavior
from tfmtl.features.fixed_scales import count_twice, share_twice
from tfmtl.features.history import seconds_since, total
from tfmtl.features.request_view import LARGEST, RequestView
from tfmtl.schema.features.derived import has_times
from tfmtl.schema.features.fixed_scales import number_key
from tfmtl.schema.features.match import SCALES


class MatchBehavior(FeatureBehavior):
    """Count, share and recency of the events with the request's own value; see `MatchFeature`."""

    def derive(self, view: RequestView) -> dict[str, tf.Tensor]:
        of = self.record.of
        is_timed = has_times(self.problem, of)
        ages = seconds_since(view, of, self.problem.keys.ticks_per_second) if is_timed else None
        events = total(view.present[of])
        found: dict[str, tf.Tensor] = {}
        for column in self.record.on:
            own = view.own[column][:, tf.newaxis]
            # Events that are missing or not there have the fingerprint 0, which is then nobody's.
            hits = view.columns[of][column] == tf.where(own == 0, tf.constant(-1, tf.int64), own)  # (N, n)
            count = total(hits)
            field = f"{self.name}_{column}"
            found |= count_twice(f"{field}_count", count, tf.zeros_like(count, tf.bool))
            found |= share_twice(f"{field}_share", count, events)
            if ages is not None:
                newest = tf.reduce_min(tf.where(hits, ages, LARGEST), axis=1)
                found |= count_twice(f"{field}_newest", newest, count == 0)
        return found

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        return {
            field: decode_fixed(encoded, field, scale)
            for column in self.record.on
            for part, scale in SCALES.items()
            if number_key(field := f"{self.name}_{column}_{part}") in encoded
        }
