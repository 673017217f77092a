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
from tfmtl.schema.reserved import MISSING, MISSING_ID, RESERVED_IDS

_LINE_BREAK = "[\r\n]"


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
        return {self._column: pa.table({"value": counted.field("values"), "count": counted.field("counts")})}

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        if self.record.hash_buckets is not None:
            return FeatureState()
        ranked = self._ranked(counts)
        state = self._vocabulary(ranked[: self.record.max_size])
        return replace(state, notes=tuple(self._notes(counts.get(self._column), ranked)))

    def extend(self, statistics: Any, counts: Mapping[Column, pa.Table]) -> FeatureState:
        """Appends new values to the known ones, which are never removed.

        A new value has to occur `min_count` times in the new training split, whatever it did before. The new ones come
        in order of their counts, equal counts in text order, until the vocabulary holds `max_size`.
        """
        if self.record.hash_buckets is not None:
            return FeatureState()
        table = self.record.table_name
        known = list(zip(statistics.vocabularies[table], statistics.vocabulary_counts[table], strict=True))
        values = {value for value, _ in known}
        new = [pair for pair in self._ranked(counts) if pair[0] not in values]
        if self.record.max_size is not None:
            new = new[: max(0, self.record.max_size - len(known))]
        return self._vocabulary([*known, *new])

    def _vocabulary(self, counted: list[tuple[str, int]]) -> FeatureState:
        table = self.record.table_name
        values, counts = tuple(value for value, _ in counted), tuple(count for _, count in counted)
        return FeatureState(vocabularies={table: values}, vocabulary_counts={table: counts})

    def _notes(self, counts: pa.Table | None, ranked: list[tuple[str, int]]) -> Iterable[str]:
        """What of the values is lost to the vocabulary without the user's having asked for it."""
        empty = f"the vocabulary of '{self.record.table_name}' is empty:"
        if counts is None or not len(counts):
            yield f"{empty} no training row has a value, so that nothing can be learned from it."
            return
        if not ranked:
            yield f"{empty} no value occurs {self.record.min_count} times (`min_count`) in the training rows."
        if broken := pc.sum(pc.match_substring_regex(counts["value"], _LINE_BREAK)).as_py():
            yield f"the vocabulary of '{self.record.table_name}' leaves out {broken:,} values that hold a line break."

    def _ranked(self, tables: Mapping[Column, pa.Table]) -> list[tuple[str, int]]:
        """Values frequent enough and their counts, most frequent first, equal counts in text order."""
        counts = tables.get(self._column)
        if counts is None:
            return []
        # A vocabulary is a file with a value per line: values with a line break stay out of vocabulary.
        frequent = pc.greater_equal(counts["count"], self.record.min_count)
        known = counts.filter(pc.and_(frequent, pc.invert(pc.match_substring_regex(counts["value"], _LINE_BREAK))))
        known = known.sort_by([("count", "descending"), ("value", "ascending")])
        return list(zip(known["value"].to_pylist(), known["count"].to_pylist(), strict=True))

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
