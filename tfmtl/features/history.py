"""History features: counts, gaps and means of a sequence."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmtl.features.decoded import Decoded, decode_fixed
from tfmtl.features.feature_behavior import FeatureBehavior
from tfmtl.features.measures import Measure
from tfmtl.features.request_view import RequestView
from tfmtl.schema.features.derived import has_times
from tfmtl.schema.features.history import WINDOWS


class HistoryBehavior(FeatureBehavior):
    """Statistics of a sequence at the time of a request; see `HistoryFeature`."""

    needs_windows = False

    def measure(self, view: RequestView) -> dict[str, Measure]:
        record, name = self.record, self.name
        events = view.events(record.of, self.problem.keys.ticks_per_second)
        count = events.count()
        is_none = count == 0
        found = {f"{name}_count": Measure("count", count, is_none, record.enters)}
        if has_times(self.problem, record.of):
            parts = {"newest": events.newest(), "oldest": events.oldest()}
            recent = events.within(list(WINDOWS.values()))
            parts |= {f"last_{window}": values for window, values in zip(WINDOWS, recent, strict=True)}
            found |= {
                f"{name}_{part}": Measure("count", values, is_none, record.enters) for part, values in parts.items()
            }
        for column in record.mean:
            for statistic, values in events.statistics(column).items():
                found[f"{name}_{statistic}_{column}"] = Measure("signed", values)
        if record.share_of:
            whole = view.events(record.share_of, self.problem.keys.ticks_per_second).count()
            found[f"{name}_share"] = Measure("share", count, whole, record.enters)
        return found

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        counts = (f"{self.name}_count", f"{self.name}_last_")
        return {
            field: decode_fixed(encoded, field, scale, zero_if_none=field.startswith(counts))
            for field, scale in self.record.scales(self.problem).items()
        }
