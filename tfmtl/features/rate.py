"""Rate features: the smoothed mean label that a value had before."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.features.column_fingerprints import column_fingerprints
from tfmtl.features.decoded import Decoded, is_nothing, rounded
from tfmtl.features.feature_behavior import FEATURE, Column, FeatureBehavior, FeatureState, FittedState, LabeledRows
from tfmtl.features.fixed_scales import odds_once, odds_twice, signed_twice
from tfmtl.features.rate_tables import LARGEST, STEPS, RateCells, steps_of
from tfmtl.features.request_view import RequestView
from tfmtl.features.time_zones import DAY, local_seconds, utc_offsets
from tfmtl.schema.features.fixed_scales import LOG_SCALE, ODDS_SCALE, number_key
from tfmtl.schema.problem_error import ProblemError


class RateBehavior(FeatureBehavior):
    """Smoothed means of the labels of the same value; see `RateFeature`.

    The table of values and days is needed to write examples of the training split. What an export holds is the sums.
    """

    extends = (FEATURE,)

    @property
    def _column(self) -> Column:
        return FEATURE, self.name

    # === What is fitted ===

    def count_labeled(self, rows: LabeledRows) -> dict[Column, pa.Table]:
        [given] = self.problem.feature(self.record.of).inputs()
        values = column_fingerprints(given, rows.rows.column(given.key))
        labels = rows.labels[self.record.task]
        known = pc.is_valid(labels).to_numpy(zero_copy_only=False) & (values != 0)
        sums = self._summed(pc.fill_null(labels, 0.0).to_numpy(zero_copy_only=False)[known])
        cells = self._cells_of(rows.as_of())
        table = pa.table({"value": values[known], "cell": cells[known], "sum_label": sums})
        counted = table.group_by(["value", "cell"]).aggregate([([], "count_all"), ("sum_label", "sum")])
        return {self._column: counted.rename_columns(["value", "cell", "count", "sum_label"])}

    def _summed(self, labels: np.ndarray) -> np.ndarray:
        """What is added up of labels `(N,)`: whole numbers."""
        if self._is_share:
            return (labels > 0.5).astype(np.int64)
        if len(labels) and (largest := float(np.abs(labels).max())) > LARGEST:
            raise ProblemError(
                f"RateFeature '{self.name}': labels of task '{self.record.task}' must lie between -{LARGEST:,} and "
                f"{LARGEST:,}. Received: {largest:,.0f}. Write them in a larger unit, or leave the rate out."
            )
        return steps_of(labels)

    @property
    def _is_share(self) -> bool:
        return bool(self.record.scale(self.problem) == "odds")

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        return self._state(RateCells.of(counts.get(self._column)))

    def extend(self, statistics: Any, counts: Mapping[Column, pa.Table]) -> FeatureState:
        """Adds the new day's labels: the rates move, as they should."""
        known = RateCells.from_plain(statistics.training[self.name])
        return self._state(known.plus(RateCells.of(counts.get(self._column))))

    def _state(self, cells: RateCells) -> FeatureState:
        mean, (none, unit) = cells.mean, (0.5, 1) if self._is_share else (0.0, STEPS)
        mean = none if mean is None else mean / unit
        return FeatureState(
            states={self.name: {"mean": mean, **cells.total().to_plain()}},
            training={self.name: cells.to_plain()},
        )

    def load(self, fitted: FittedState) -> None:
        state = fitted.statistics.states[self.name]
        self._mean = float(state["mean"])
        self._total = RateCells.from_plain(state)
        cells = fitted.statistics.training.get(self.name)  # an export has none
        self._cells = self._total if cells is None else RateCells.from_plain(cells)

    # === Encoding ===

    needs_windows = False

    def derive(self, view: RequestView) -> dict[str, tf.Tensor]:
        own = view.own[self.record.of]
        if view.as_of is None:
            sums, labels = self._total.before(own, tf.ones_like(own))
        elif self._has_days:  # a day's labels are known when the days until then are over
            sums, labels = self._cells.before(own, self._cells_of(view.as_of) - self.record.days_until_known)
        else:
            sums, labels = self._cells.all_but(own, self._cells_of(view.as_of))
        prior = self.record.prior
        sums, labels = tf.cast(sums, tf.float64), tf.cast(labels, tf.float64)
        if self._is_share:
            encode = odds_once if self.record.enters == "once" else odds_twice
            return encode(self.name, (sums + prior * self._mean) / (labels + prior), self._mean, own == 0)
        # On the grid of the steps: a graph may compute in another order than single operations do.
        beyond = tf.round((sums - labels * (self._mean * STEPS)) / (labels + prior)) / STEPS
        return signed_twice(self.name, tf.where(own == 0, tf.constant(np.nan, tf.float64), beyond))

    @property
    def _has_days(self) -> bool:
        return self.problem.keys.time is not None

    def _cells_of(self, as_of: Any) -> Any:
        """Cells of the table, of an array or a tensor of times in the log's unit or of folds.

        A cell is a day since 1970 on the clocks of the place, or a fold in a log without times.
        """
        if not self._has_days:
            return as_of
        return local_seconds(as_of // self.problem.keys.ticks_per_second, *utc_offsets(self.record.time_zone)) // DAY

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        mean = float(statistics.states[self.name]["mean"])
        number = encoded[number_key(self.name)].astype(np.float64)
        if self._is_share:
            mean = min(max(mean, 1e-6), 1.0 - 1e-6)
            rates = 1.0 / (1.0 + np.exp(-(number * ODDS_SCALE + np.log(mean / (1.0 - mean)))))
        else:
            rates = mean + np.sign(number) * np.expm1(np.abs(number) * LOG_SCALE)
        is_none = is_nothing(encoded, self.name, self.record.scale(self.problem))
        return {self.name: Decoded(pa.array(rounded(rates), mask=is_none))}
