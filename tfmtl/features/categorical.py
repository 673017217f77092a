"""Categorical features: from texts to ids."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.features.decoded import Decoded, decode_texts
from tfmtl.features.feature_behavior import TABLE, Column, FeatureBehavior, FeatureState, FittedState, RawColumns
from tfmtl.features.vocabulary import LINE_BREAK, Counted, count_table, extended, ranked, vocabulary_state
from tfmtl.schema.reserved import MISSING, MISSING_ID, RESERVED_IDS


class CategoricalBehavior(FeatureBehavior):
    """Texts to ids of a vocabulary or of hash buckets; see `CategoricalFeature`."""

    extends = (TABLE,)

    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        record = self.record
        if record.multi_valued:
            values = raw.lists(record.column_name, record.separator, record.max_values, record.format)
        else:
            values = raw.text(record.column_name)
        if record.hash_buckets is not None:
            raw.notice_spellings(record.column_name, pc.list_flatten(values) if record.multi_valued else values)
        return {self.name: values}

    @property
    def _column(self) -> Column:
        return TABLE, self.record.table_name

    def count(self, rows: pa.RecordBatch) -> dict[Column, pa.Table]:
        if self.record.hash_buckets is not None:
            return {}
        values = rows.column(self.name)
        counted = pc.value_counts((pc.list_flatten(values) if self.record.multi_valued else values).drop_null())
        return {self._column: count_table(counted.field("values"), counted.field("counts"))}

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        if self.record.hash_buckets is not None:
            return FeatureState()
        found = self._ranked(counts)
        state = vocabulary_state(self.record.table_name, found[: self.record.max_size])
        return replace(state, notes=tuple(self._notes(counts.get(self._column), found)))

    def extend(self, statistics: Any, counts: Mapping[Column, pa.Table]) -> FeatureState:
        """Appends new values to the known ones, which are never removed.

        A new value has to occur `min_count` times in the new training split, whatever it did before. The new ones come
        in order of their counts, equal counts in text order, until the vocabulary holds `max_size`.
        """
        if self.record.hash_buckets is not None:
            return FeatureState()
        table = self.record.table_name
        known = statistics.vocabularies[table], statistics.vocabulary_counts[table]
        return vocabulary_state(table, extended(*known, self._ranked(counts), self.record.max_size))

    def _notes(self, counts: pa.Table | None, found: Counted) -> Iterable[str]:
        """What of the values is lost to the vocabulary without the user's having asked for it."""
        empty = f"the vocabulary of '{self.record.table_name}' is empty:"
        if counts is None or not len(counts):
            yield f"{empty} no training row has a value, so that nothing can be learned from it."
            return
        if not found:
            yield f"{empty} no value occurs {self.record.min_count} times (`min_count`) in the training rows."
        if broken := pc.sum(pc.match_substring_regex(counts["value"], LINE_BREAK)).as_py():
            yield f"the vocabulary of '{self.record.table_name}' leaves out {broken:,} values that hold a line break."

    def _ranked(self, counts: Mapping[Column, pa.Table]) -> Counted:
        return ranked(counts.get(self._column), self.record.min_count)

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
        return {
            self.name: tf.cast(tf.where(values == MISSING["string"], tf.cast(MISSING_ID, ids.dtype), ids), tf.int32)
        }

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        if self.record.multi_valued or self.record.hash_buckets is not None:
            return {}
        return {self.name: decode_texts(encoded[self.name], statistics.vocabularies[self.record.table_name])}

    def describe(self, statistics: Any) -> dict[str, Any]:
        lists = ", lists" if self.record.multi_valued else ""
        if self.record.hash_buckets is not None:
            return {"size": f"{self.record.hash_buckets:,} hash buckets{lists}", "values": None}
        values = statistics.vocabularies[self.record.table_name]
        return {"size": f"{len(values):,} values{lists}", "values": values}
