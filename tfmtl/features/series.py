"""Series: numbers at a fixed number of steps, scaled, and which of them are there."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.features.decoded import Decoded, decode_given, rounded
from tfmtl.features.feature_behavior import FEATURE, Column, FeatureBehavior, FeatureState, FittedState, RawColumns
from tfmtl.features.numeric import CLIP, log_distance
from tfmtl.features.request_view import plain_number
from tfmtl.features.vector_moments import count_mantissas, mean_and_factor, moments_of
from tfmtl.schema import View

if TYPE_CHECKING:
    from tfmtl.features.field_layer import FieldLayer


class SeriesBehavior(FeatureBehavior):
    """Lists of `length` steps with one or more numbers each; see `SeriesFeature`."""

    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        record = self.record
        layout = record.size, record.separator
        return {self.name: raw.vectors(record.column_name, *layout, has_gaps=True, channels=record.channels)}

    @property
    def is_logarithmic(self) -> bool:  # type: ignore[override]
        return bool(self.record.normalize == "log_z_score")

    def count(self, rows: pa.RecordBatch) -> dict[Column, pa.Table]:
        """Of every channel over all steps, a number that is missing left out."""
        if self.record.normalize == "none":
            return {}
        flat = rows.column(self.name).drop_null().flatten().to_numpy(zero_copy_only=False)
        values = flat.reshape(-1, self.record.channels).astype(np.float64)
        if self.is_logarithmic:
            values = np.sign(values) * np.log1p(np.abs(values))
        tables = []
        for channel, numbers in enumerate(values.T):
            table = count_mantissas(numbers[~np.isnan(numbers), np.newaxis])
            channels = pa.array(np.full(table.num_rows, channel, np.int32))
            tables.append(table.set_column(table.schema.get_field_index("component"), "component", channels))
        return {(FEATURE, self.name): pa.concat_tables(tables)}

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        if self.record.normalize == "none":
            return FeatureState()
        mean, deviation = moments_of(counts.get((FEATURE, self.name)), self.record.channels)
        return FeatureState(states={self.name: {"mean": mean, "deviation": deviation}})

    def load(self, fitted: FittedState) -> None:
        if self.record.normalize != "none":
            self._mean, self._factor = mean_and_factor(fitted.statistics.states[self.name])

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values, record = raw[self.name], self.record
        x = tf.cast(plain_number(values), tf.float64)
        tf.debugging.assert_equal(
            tf.reduce_any(tf.math.is_inf(x)),
            False,
            message=f"Feature '{self.name}' must hold {record.size} finite numbers, NaN where one is missing.",
        )
        x = tf.reshape(x, tf.concat([tf.shape(x)[:-1], [record.length, record.channels]], axis=0))
        x.set_shape([*values.shape[:-1], record.length, record.channels])
        is_there = ~tf.math.is_nan(x)
        x = tf.where(is_there, x, tf.zeros_like(x))
        if record.normalize != "none":
            distance = log_distance(x, self._mean) if self.is_logarithmic else x - self._mean
            x = tf.clip_by_value(distance * self._factor, -CLIP, CLIP)
        x = tf.cast(tf.where(is_there, x, tf.zeros_like(x)), tf.float32)
        return {self.name: plain_number(x), record.present_key: tf.cast(is_there, tf.float32)}

    @classmethod
    def layer(cls, records: Sequence[Any], dim: int, policy: Any) -> "FieldLayer":
        from tfmtl.features.series_fields import SeriesFields  # Keras is loaded by models alone

        return SeriesFields(records, dim, dtype=policy, name="series")

    def views(self, encoded: Mapping[str, np.ndarray]) -> dict[str, View]:
        """The mean of all numbers of a row, its last step's first number, and how many numbers there are."""
        values, present = encoded[self.name].astype(np.float64), encoded[self.record.present_key] > 0.0
        count = present.sum(axis=(1, 2))
        nothing = np.float32(np.nan)
        mean = np.where(count > 0, values.sum(axis=(1, 2)) / np.maximum(count, 1), nothing).astype(np.float32)
        last = np.where(present[:, -1, 0], values[:, -1, 0], nothing).astype(np.float32)
        return {
            self.name: View("numbers", mean),
            f"{self.name} last": View("numbers", last),
            f"{self.name} given": View("lists", present.reshape(len(present), self.record.size).astype(np.int32)),
        }

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        """Whether there is a number, and of the first number of a step its last value and its mean over the steps."""
        is_there = encoded[self.record.present_key] > 0.0
        numbers, there = encoded[self.name][..., 0].astype(np.float64), is_there[..., 0]
        if self.record.normalize != "none":
            state = statistics.states[self.name]
            numbers = numbers * (state["deviation"][0] or 1.0) + state["mean"][0]
        if self.is_logarithmic:
            numbers = np.sign(numbers) * np.expm1(np.abs(numbers))
        count = there.sum(axis=1)
        mean = np.where(there, numbers, 0.0).sum(axis=1) / np.maximum(count, 1)
        return {
            self.name: decode_given(np.asarray(is_there.any(axis=(1, 2)))),
            f"{self.name} last": Decoded(pa.array(rounded(numbers[:, -1]), mask=~there[:, -1])),
            f"{self.name} mean": Decoded(pa.array(rounded(mean), mask=count == 0)),
        }

    def describe(self, statistics: Any) -> dict[str, Any]:
        channels = f" of {self.record.channels} numbers" if self.record.channels > 1 else ""
        normalized = "" if self.record.normalize == "none" else f", {self.record.normalize}"
        return {"size": f"{self.record.length} steps{channels}{normalized}", "values": None}
