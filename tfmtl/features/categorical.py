"""Names to ids."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import tensorflow as tf

from tfmtl.features.feature_behavior import FeatureBehavior, FittedState, RawColumns
from tfmtl.schema.forms import RESERVED_IDS


class CategoricalBehavior(FeatureBehavior):
    """Texts to ids of a vocabulary or of hash buckets; see `CategoricalFeature`."""

    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        record = self.record
        if record.multi_valued:
            return {self.name: raw.lists(record.column_name, record.separator, record.max_values, record.format)}
        return {self.name: raw.text(record.column_name)}

    def table_rows(self, statistics: Any) -> dict[str, int]:
        table = self.record.table_name
        return {table: (self.record.hash_buckets or len(statistics.vocabularies[table])) + RESERVED_IDS}

    def load(self, fitted: FittedState) -> None:
        if self.record.hash_buckets is None:
            self._lookup = fitted.vocabulary(self.record.table_name).lookup

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values = raw[self.name]
        if self.record.hash_buckets is not None:
            ids = tf.strings.to_hash_bucket_fast(values, self.record.hash_buckets) + RESERVED_IDS
        else:
            ids = self._lookup(values) + RESERVED_IDS
        return {self.name: tf.cast(tf.where(values == "", tf.zeros_like(ids), ids), tf.int32)}

    def describe(self, statistics: Any) -> dict[str, Any]:
        lists = ", lists" if self.record.multi_valued else ""
        if self.record.hash_buckets is not None:
            return {"size": f"{self.record.hash_buckets:,} hash buckets{lists}", "values": None}
        values = statistics.vocabularies[self.record.table_name]
        return {"size": f"{len(values):,} values{lists}", "values": values}
