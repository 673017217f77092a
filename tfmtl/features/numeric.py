"""Numeric features: quantile buckets and z-scores."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.features.decoded import Decoded, decode_buckets, decode_scaled
from tfmtl.features.feature_behavior import FEATURE, Column, FeatureBehavior, FeatureState, FittedState, RawColumns
from tfmtl.features.number_counts import count_numbers
from tfmtl.features.number_facts import NumberFacts
from tfmtl.schema.reserved import MISSING_ID, RESERVED_IDS

_ROUNDING = 1e-15  # a few units in the last place of float64
CLIP = 10.0  # standard deviations; keeps infinities and outliers from dominating a batch


class NumericBehavior(FeatureBehavior):
    """Numbers as their quantile, or scaled by training statistics; see `NumericFeature`."""

    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        return {self.name: pc.cast(raw.number(self.record.column_name), pa.float32(), safe=False)}

    def count(self, rows: pa.RecordBatch) -> dict[Column, pa.Table]:
        return {(FEATURE, self.name): count_numbers(rows.column(self.name))}

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        record, name = self.record, self.name
        counted = counts.get((FEATURE, name))
        facts = NumberFacts(counted)
        boundaries = {name: facts.boundaries(record.buckets)} if record.is_bucketized else {}
        means, deviations, notes = {}, {}, []
        if record.is_scaled:
            means[name], deviations[name] = facts.moments(self.is_logarithmic)
        if counted is None or not len(counted):
            notes.append(f"column '{record.column_name}' has no number in any training row.")
        if facts.narrow() is not None:
            notes.append(
                f"the numbers in column '{record.column_name}' {facts.narrow()}. Subtract an offset in the log, "
                "or take it out of the features if it is a time."
            )
        return FeatureState(boundaries=boundaries, means=means, deviations=deviations, notes=tuple(notes))

    def table_rows(self, statistics: Any) -> dict[str, int]:
        if not self.record.is_bucketized:
            return {}
        return {self.record.table_name: len(statistics.boundaries[self.name]) + 1 + RESERVED_IDS}

    def load(self, fitted: FittedState) -> None:
        if self.record.is_bucketized:
            self._boundaries = list(fitted.statistics.boundaries[self.name])
        if self.record.is_scaled:
            self._mean = fitted.statistics.means[self.name]
            self._deviation = fitted.statistics.deviations[self.name]

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values = raw[self.name]
        found = {self.name: self._bucketize(values)} if self.record.is_bucketized else {}
        return found | ({self.record.number_key: self._scale(values)} if self.record.is_scaled else {})

    def _bucketize(self, values: tf.Tensor) -> tf.Tensor:
        missing = tf.math.is_nan(values)
        # NaN compares with nothing, so it is replaced before and masked after.
        ids = tf.raw_ops.Bucketize(input=tf.where(missing, 0.0, values), boundaries=self._boundaries) + RESERVED_IDS
        return tf.where(missing, 0, ids)

    def _scale(self, values: tf.Tensor) -> tf.Tensor:
        x = tf.cast(values, tf.float64)
        factor = 1.0 / self._deviation if self._deviation > 0.0 else 1.0
        distance = log_distance(x, self._mean) if self.is_logarithmic else x - self._mean
        scaled = tf.clip_by_value(distance * factor, -CLIP, CLIP)
        return tf.cast(tf.where(tf.math.is_nan(x), tf.zeros_like(x), scaled), tf.float32)

    @property
    def is_logarithmic(self) -> bool:  # type: ignore[override]
        return bool(self.record.transform == "log_z_score")

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        record, name = self.record, self.name
        if not record.is_scaled:
            return {name: decode_buckets(encoded[name], statistics.boundaries[name])}
        moments = statistics.means[name], statistics.deviations[name]
        found = decode_scaled(encoded[record.number_key], *moments, self.is_logarithmic)
        if record.is_bucketized:  # whose buckets tell what is missing
            present = pa.array(encoded[name] != MISSING_ID)
            found = replace(found, values=pc.if_else(present, found.values, pa.scalar(None, pa.float64())))
        return {name: found}

    def describe(self, statistics: Any) -> dict[str, Any]:
        if not self.record.is_bucketized:
            return {"size": self.record.transform, "values": None}
        return {"size": f"{len(statistics.boundaries[self.name]) + 1} buckets", "values": None}


def log_distance(x: tf.Tensor, mean: Any) -> tf.Tensor:
    """`sign(x) * log(1 + |x|) - mean`, the same bits wherever in a batch a number stands once it is a float32.

    Vectorized and scalar logarithms differ in their last bits, so that a result would depend on its place. In float64
    that is far below what float32 keeps, but for a number at the mean, of which nothing else would be left.

    Args:
        x: float64 tensor of any shape.
        mean: number, or tensor that fits `x`.
    """
    logarithm = tf.sign(x) * tf.math.log1p(tf.abs(x))
    distance = logarithm - mean
    return tf.where(tf.abs(distance) < _ROUNDING * tf.abs(logarithm), tf.zeros_like(distance), distance)
