"""Vectors to fields: projected by a learned matrix."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.features.decoded import Decoded, decode_given
from tfmtl.features.feature_behavior import FEATURE, Column, FeatureBehavior, FeatureState, FittedState, RawColumns
from tfmtl.features.numeric import CLIP
from tfmtl.features.request_view import plain_number
from tfmtl.features.vector_moments import count_mantissas, mean_and_factor, moments_of
from tfmtl.schema import View

if TYPE_CHECKING:
    from tfmtl.features.field_layer import FieldLayer

_SHORTEST = 1e-12


class VectorBehavior(FeatureBehavior):
    """Lists of `size` numbers, as they are or normalized; see `VectorFeature`."""

    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        record = self.record
        return {self.name: raw.vectors(record.column_name, record.size, record.separator)}

    def count(self, rows: pa.RecordBatch) -> dict[Column, pa.Table]:
        if self.record.normalize != "z_score":
            return {}
        values = rows.column(self.name).drop_null().flatten().to_numpy(zero_copy_only=False)
        return {(FEATURE, self.name): count_mantissas(values.reshape(-1, self.record.size))}

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        if self.record.normalize != "z_score":
            return FeatureState()
        mean, deviation = moments_of(counts.get((FEATURE, self.name)), self.record.size)
        return FeatureState(states={self.name: {"mean": mean, "deviation": deviation}})

    def load(self, fitted: FittedState) -> None:
        if self.record.normalize == "z_score":
            self._mean, self._factor = mean_and_factor(fitted.statistics.states[self.name])

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        # In float64: sums in float32 would depend on the place in the batch.
        x = tf.cast(plain_number(raw[self.name]), tf.float64)
        is_missing = tf.reduce_all(tf.math.is_nan(x), axis=-1, keepdims=True)
        tf.debugging.assert_equal(
            tf.reduce_all(tf.math.is_finite(x) | is_missing),
            True,
            message=f"Feature '{self.name}' must hold {self.record.size} finite numbers, or NaN alone where missing.",
        )
        x = tf.where(is_missing, tf.zeros_like(x), x)
        if self.record.normalize == "z_score":
            x = tf.clip_by_value((x - self._mean) * self._factor, -CLIP, CLIP)
        elif self.record.normalize == "l2":
            x /= tf.maximum(tf.sqrt(tf.reduce_sum(x * x, axis=-1, keepdims=True)), _SHORTEST)
        return {
            self.name: plain_number(tf.cast(tf.where(is_missing, tf.zeros_like(x), x), tf.float32)),
            self.record.missing_key: tf.cast(is_missing[..., 0], tf.float32),
        }

    @classmethod
    def layer(cls, records: Sequence[Any], dim: int, policy: Any) -> "FieldLayer":
        from tfmtl.features.vector_fields import VectorFields  # Keras is loaded by models alone

        return VectorFields(records, dim, dtype=policy, name="vectors")

    def views(self, encoded: Mapping[str, np.ndarray]) -> dict[str, View]:
        """The lengths of the vectors that there are, and whether there is one, as a list of one or none."""
        lengths = np.sqrt((encoded[self.name].astype(np.float64) ** 2).sum(axis=-1)).astype(np.float32)
        is_missing = encoded[self.record.missing_key] > 0.0
        return {
            self.name: View("numbers", np.where(is_missing, np.float32(np.nan), lengths)),
            f"{self.name} given": View("lists", (~is_missing).astype(np.int32)[:, np.newaxis]),
        }

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        """Whether there is one."""
        return {self.name: decode_given(encoded[self.record.missing_key] == 0.0)}

    def describe(self, statistics: Any) -> dict[str, Any]:
        normalized = "" if self.record.normalize == "none" else f", {self.record.normalize}"
        return {"size": f"{self.record.size} numbers{normalized}", "values": None}
