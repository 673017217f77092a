"""Match features: events that have the request's own value."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmtl.features.decoded import Decoded, decode_fixed
from tfmtl.features.feature_behavior import FeatureBehavior
from tfmtl.features.measures import Measure
from tfmtl.features.request_view import RequestView
from tfmtl.schema.features.fixed_scales import number_key
from tfmtl.schema.features.match import SCALES


class MatchBehavior(FeatureBehavior):
    """Count, share and recency of the events with the request's own value; see `MatchFeature`."""

    needs_windows = False

    def measure(self, view: RequestView) -> dict[str, Measure]:
        events = view.events(self.record.of, self.problem.keys.ticks_per_second)
        whole, enters = events.count(), self.record.enters
        found: dict[str, Measure] = {}
        for column in self.record.on:
            count, newest = events.matches(column, view.own[column])
            field = f"{self.name}_{column}"
            found[f"{field}_count"] = Measure("count", count, count < 0, enters)
            found[f"{field}_share"] = Measure("share", count, whole, enters)
            if newest is not None:
                found[f"{field}_newest"] = Measure("count", newest, count == 0, enters)
        return found

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        return {
            field: decode_fixed(encoded, field, scale)
            for column in self.record.on
            for part, scale in SCALES.items()
            if number_key(field := f"{self.name}_{column}_{part}") in encoded
        }
