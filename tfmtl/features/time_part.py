"""Time-part features: hour, weekday and other parts of a request's time."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.features.decoded import Decoded
from tfmtl.features.feature_behavior import Column, FeatureBehavior, FeatureState, FittedState
from tfmtl.features.request_view import RequestView
from tfmtl.features.time_zones import DAY, local_seconds, utc_offsets
from tfmtl.schema.reserved import RESERVED_IDS


class TimePartBehavior(FeatureBehavior):
    """Hour, weekday, day of the month; see `TimePartFeature`. The graph has no time zones, but their offsets."""

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        starts, offsets = utc_offsets(self.record.time_zone)
        return FeatureState(states={self.name: {"starts": starts, "offsets": offsets}})

    def load(self, fitted: FittedState) -> None:
        state = fitted.statistics.states[self.name]
        self._starts, self._offsets = state["starts"], state["offsets"]

    needs_windows = False

    def derive(self, view: RequestView) -> dict[str, tf.Tensor]:
        if view.now is None:
            raise ValueError("RequestView: `now` must be given to features that read times.")
        seconds = view.now // self.problem.keys.ticks_per_second
        local = local_seconds(seconds, self._starts, self._offsets)
        return {
            f"{self.name}_{part}": tf.cast(_PARTS[part](local) + RESERVED_IDS, tf.int32) for part in self.record.part
        }

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        # Days of a month are counted from 0 in the records, from 1 by people.
        return {
            f"{self.name}_{part}": Decoded(
                pa.array(encoded[f"{self.name}_{part}"].astype(np.float64) - RESERVED_IDS + (part == "day_of_month"))
            )
            for part in self.record.part
        }


def _weekday(local: Any) -> Any:
    return (local // DAY + 3) % 7  # the first day of 1970 was a Thursday


def _day_of_month(local: Any) -> Any:
    """Day of the month from 0, of seconds since 1970.

    Reference:
        Hinnant 2013, http://howardhinnant.github.io/date_algorithms.html, `civil_from_days`.
    """
    days = local // DAY
    day_of_era = (days + 719_468) % 146_097
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    return day_of_year - (153 * month + 2) // 5


_PARTS: dict[str, Callable[[Any], Any]] = {
    "hour": lambda local: local // 3_600 % 24,
    "weekday": _weekday,
    "day_of_month": _day_of_month,
    "is_weekend": lambda local: tf.cast(_weekday(local) >= 5, tf.int64),
}
"""Part -> its value, of seconds since 1970 on the clocks of the place: an array of an array, a tensor of a tensor."""
