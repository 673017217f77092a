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
from tfmtl.features.measures import Measure
from tfmtl.features.once import rising_order
from tfmtl.features.rate_tables import LARGEST, STEPS, RateCells, count_column, steps_of, sum_column
from tfmtl.features.request_view import RequestView
from tfmtl.features.time_zones import DAY, local_seconds, utc_offsets
from tfmtl.schema.features.fixed_scales import LOG_SCALE, ODDS_SCALE, number_key
from tfmtl.schema.features.rate import RateFeature
from tfmtl.schema.problem_error import ProblemError


class RateBehavior(FeatureBehavior):
    """Smoothed means of the labels of the same value; see `RateFeature`.

    The table of values and days is needed to write examples of the training split. What an export holds is the sums.
    Rates of the same feature on the same clocks have one table, and what it says of a value is looked up once for all.
    """

    extends = (FEATURE,)

    # === What is fitted ===

    @property
    def _group(self) -> list[RateFeature]:
        """The rates that have a table in common, whose first one counts and fits for all."""
        own = self.record
        rates = [each for each in self.problem.features if isinstance(each, RateFeature)]
        return [each for each in rates if (each.of, each.time_zone) == (own.of, own.time_zone)]

    @property
    def _tasks(self) -> list[str]:
        return list(dict.fromkeys(each.task for each in self._group))

    @property
    def _first(self) -> str:
        return self._group[0].name

    def count_labeled(self, rows: LabeledRows) -> dict[Column, pa.Table]:
        """Every row that has a value and a label, as it is: merging adds them up."""
        if self.name != self._first:
            return {}
        [given] = self.problem.feature(self.record.of).inputs()
        values = column_fingerprints(given, rows.rows.column(given.key))
        is_valid = {task: pc.is_valid(rows.labels[task]).to_numpy(zero_copy_only=False) for task in self._tasks}
        some = np.flatnonzero((values != 0) & np.any([*is_valid.values()], axis=0))
        table = {"value": values[some], "cell": self._cells_of(rows.as_of())[some]}
        for task in self._tasks:
            is_known = is_valid[task][some]
            labels = pc.fill_null(rows.labels[task], 0.0).to_numpy(zero_copy_only=False)[some]
            table |= {count_column(task): is_known.astype(np.int64), sum_column(task): self._summed(task, labels)}
        return {(FEATURE, self.name): pa.table(table)}

    def _summed(self, task: str, labels: np.ndarray) -> np.ndarray:
        """What is added up of labels `(N,)` of a task, 0 where there is none: whole numbers."""
        [record, *_] = [each for each in self._group if each.task == task]
        if record.scale(self.problem) == "odds":
            return (labels > 0.5).astype(np.int64)
        if len(labels) and (largest := float(np.abs(labels).max())) > LARGEST:
            raise ProblemError(
                f"RateFeature '{record.name}': labels of task '{task}' must lie between -{LARGEST:,} and "
                f"{LARGEST:,}. Received: {largest:,.0f}. Write them in a larger unit, or leave the rate out."
            )
        return steps_of(labels)

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        return self._state(self._counted(counts)) if self.name == self._first else FeatureState()

    def extend(self, statistics: Any, counts: Mapping[Column, pa.Table]) -> FeatureState:
        """Adds the new day's labels: the rates move, as they should."""
        if self.name != self._first:
            return FeatureState()
        return self._state(self._read(statistics).plus(self._counted(counts)))

    def _counted(self, counts: Mapping[Column, pa.Table]) -> RateCells:
        return RateCells.of(self._tasks, counts.get((FEATURE, self.name)))

    def _state(self, cells: RateCells) -> FeatureState:
        """Of all rates of the group; the table is the first one's."""
        states: dict[str, dict[str, Any]] = {}
        for each in self._group:
            none, unit = (0.5, 1) if each.scale(self.problem) == "odds" else (0.0, STEPS)
            mean = cells.mean(each.task)
            states[each.name] = {"mean": none if mean is None else mean / unit}
        states[self.name] |= cells.values_to_plain()
        return FeatureState(states=states, training={self.name: cells.cells_to_plain()})

    def _read(self, statistics: Any) -> RateCells:
        """The group's table, without cells where there are none: an export has the sums over them."""
        states, training = statistics.states, statistics.training
        if "values" in states[self._first]:
            return RateCells.from_plain(states[self._first], training.get(self._first))
        # Written by an earlier version, when every rate had a table of its own.
        return RateCells.from_separate({each.task: (training or states)[each.name] for each in self._group})

    def load(self, fitted: FittedState) -> None:
        self._mean = float(fitted.statistics.states[self.name]["mean"])
        self._table: RateCells = fitted.once(("rates", self._first), lambda: self._read(fitted.statistics))

    # === Encoding ===

    needs_windows = False

    def measure(self, view: RequestView) -> dict[str, Measure]:
        own, prior = view.own[self.record.of], self.record.prior
        parts = self._labels_and_sums(view, own)
        labels, sums = (parts[:, place] for place in self._table.places(self.record.task))
        if isinstance(parts, np.ndarray):
            labels, sums = labels.astype(np.float64), sums.astype(np.float64)
        else:
            labels, sums = tf.cast(labels, tf.float64), tf.cast(sums, tf.float64)
        if self._is_share:
            is_none = view.once(("missing", self.record.of), lambda: own == 0)
            rates = (sums + prior * self._mean) / (labels + prior)
            return {self.name: Measure("odds", rates, is_none, self.record.enters, self._mean)}
        # On the grid of the steps: a graph may compute in another order than single operations do.
        beyond = tf.round((sums - labels * (self._mean * STEPS)) / (labels + prior)) / STEPS
        return {self.name: Measure("signed", tf.where(own == 0, tf.constant(np.nan, tf.float64), beyond))}

    def _labels_and_sums(self, view: RequestView, own: Any) -> Any:
        """What the table says of the requests' values, once for all rates that know of the same cells."""
        table, lag = self._table, self.record.days_until_known
        if view.as_of is None and not isinstance(own, np.ndarray):
            return view.once((table, "graph"), lambda: table.in_graph(own))
        own = np.asarray(own)
        found = view.once((table, "found"), lambda: table.find(own, rising_order(view.once, own)))
        if view.as_of is None:
            return view.once((table, "whole"), found.whole)
        cells = view.once((table, "cells"), lambda: self._cells_of(np.asarray(view.as_of)))
        if self._has_days:  # a day's labels are known when the days until then are over
            return view.once((table, lag), lambda: found.before(cells - lag))
        return view.once((table, lag), lambda: found.all_but(cells))

    @property
    def _is_share(self) -> bool:
        return bool(self.record.scale(self.problem) == "odds")

    @property
    def _has_days(self) -> bool:
        return self.problem.keys.time is not None

    def _cells_of(self, as_of: np.ndarray) -> np.ndarray:
        """Cells of the table, int64 `(N,)`, of times in the log's unit or of folds.

        A cell is a day since 1970 on the clocks of the place, or a fold in a log without times.
        """
        if not self._has_days:
            return as_of
        seconds = local_seconds(as_of // self.problem.keys.ticks_per_second, *utc_offsets(self.record.time_zone))
        return np.asarray(seconds // DAY)

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
