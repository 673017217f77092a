"""Texts to the ids of their words and of their runs of characters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.features.decoded import Decoded, decode_given
from tfmtl.features.feature_behavior import TABLE, Column, FeatureBehavior, FeatureState, FittedState, RawColumns
from tfmtl.features.tokens import is_utf8, ngrams_of, words_of
from tfmtl.features.vocabulary import count_table, extended, ranked, vocabulary_state
from tfmtl.features.word_vectors import read_word_vectors
from tfmtl.schema import View
from tfmtl.schema.reserved import MISSING_ID, RESERVED_IDS

if TYPE_CHECKING:
    from tfmtl.features.field_layer import FieldLayer


class TextBehavior(FeatureBehavior):
    """Words by a vocabulary, runs of characters by a hash; see `TextFeature`."""

    extends = (TABLE,)

    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        return {self.name: raw.text(self.record.column_name)}

    @property
    def _column(self) -> Column:
        return TABLE, self.record.table_name

    def count(self, rows: pa.RecordBatch) -> dict[Column, pa.Table]:
        """Every distinct text is cut into words once, by the code that requests go through."""
        if not self.record.has_words:
            return {}
        counted = pc.value_counts(rows.column(self.name).drop_null())
        words = words_of(tf.constant(counted.field("values").to_pylist(), tf.string), self.record.max_length)
        weights = np.repeat(counted.field("counts").to_numpy(), words.row_lengths().numpy())
        texts = pa.array(words.flat_values.numpy(), pa.binary()).cast(pa.string())
        sums = pa.table({"value": texts, "count": weights}).group_by("value").aggregate([("count", "sum")])
        return {self._column: count_table(sums["value"], sums["count_sum"].cast(pa.int64()))}

    def fit(self, counts: Mapping[Column, pa.Table]) -> FeatureState:
        if not self.record.has_words:
            return FeatureState()
        found = ranked(counts.get(self._column), self.record.min_count)
        state = vocabulary_state(self.record.table_name, found[: self.record.max_size])
        if found:
            return state
        what = f"no word of text '{self.name}' occurs {self.record.min_count} times (`min_count`) in the training rows."
        return replace(state, notes=(what,))

    def extend(self, statistics: Any, counts: Mapping[Column, pa.Table]) -> FeatureState:
        """Appends new words to the known ones, as a categorical feature does."""
        if not self.record.has_words:
            return FeatureState()
        table = self.record.table_name
        known = statistics.vocabularies[table], statistics.vocabulary_counts[table]
        new = ranked(counts.get(self._column), self.record.min_count)
        return vocabulary_state(table, extended(*known, new, self.record.max_size))

    def table_rows(self, statistics: Any) -> dict[str, int]:
        rows = super().table_rows(statistics)
        if self.record.has_words:
            rows[self.record.table_name] = len(statistics.vocabularies[self.record.table_name]) + RESERVED_IDS
        return rows

    def load(self, fitted: FittedState) -> None:
        if self.record.has_words:
            self._lookup = fitted.vocabulary(self.record.table_name).lookup

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        texts, record = raw[self.name], self.record
        tf.debugging.assert_equal(
            tf.reduce_all(is_utf8(texts)), True, message=f"Feature '{self.name}' must hold text in UTF-8."
        )
        words = words_of(tf.reshape(texts, [-1]), record.max_length)
        found = {}
        if record.has_words:
            found[self.name] = _ids(texts, words, record.max_length, self._lookup)
        if record.has_ngrams:
            shortest, longest = record.ngrams
            runs = ngrams_of(words, shortest, longest, record.max_ngrams)
            found[record.ngrams_key] = _ids(texts, runs, record.max_ngrams, self._bucket)
        return found

    def _bucket(self, runs: tf.Tensor) -> tf.Tensor:
        return tf.strings.to_hash_bucket_fast(runs, self.record.buckets)

    @classmethod
    def layer(cls, records: Sequence[Any], dim: int, policy: Any) -> "FieldLayer":
        from tfmtl.features.text_fields import TextFields  # Keras is loaded by models alone

        return TextFields(records, dim, dtype=policy, name="texts")

    def initial_rows(self, statistics: Any) -> dict[str, np.ndarray]:
        record = self.record
        if record.vectors is None:
            return {}
        rows = read_word_vectors(record.vectors, record.dim, statistics.vocabularies[record.table_name])
        # What is never trained must not stay as it was drawn.
        return {record.table_name: rows if record.train_vectors else np.nan_to_num(rows)}

    def views(self, encoded: Mapping[str, np.ndarray]) -> dict[str, View]:
        """The words, or the runs of characters where there is no vocabulary."""
        record = self.record
        key, table = (self.name, record.table_name) if record.has_words else (record.ngrams_key, record.ngrams_table)
        return {self.name: View("lists", encoded[key], table)}

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        """Whether there is a text that holds anything, and of how many words, `max_length` at most."""
        record = self.record
        lengths = {
            key: (encoded[key] != MISSING_ID).sum(axis=-1)
            for key, has in ((self.name, record.has_words), (record.ngrams_key, record.has_ngrams))
            if has
        }
        found = {self.name: decode_given(sum(lengths.values()) > 0)}
        if record.has_words:
            words = lengths[self.name].astype(np.float64)
            found[f"{self.name} words"] = Decoded(pa.array(words, mask=words == 0))
        return found

    def describe(self, statistics: Any) -> dict[str, Any]:
        runs = f"character runs in {self.record.buckets:,} buckets"
        if not self.record.has_words:
            return {"size": f"text: {runs}", "values": None}
        words = statistics.vocabularies[self.record.table_name]
        more = f", {runs}" if self.record.has_ngrams else ""
        return {"size": f"text: {len(words):,} words{more}", "values": words}


def _ids(texts: tf.Tensor, tokens: tf.RaggedTensor, most: int, place: Any) -> tf.Tensor:
    """int32 `(*lead, most)`, filled up with 0, of tokens `(n, None)` of texts `(*lead,)`."""
    padded = tokens.to_tensor("", shape=(None, most))
    ids = tf.where(padded == "", tf.cast(MISSING_ID, tf.int64), place(padded) + RESERVED_IDS)
    found = tf.reshape(tf.cast(ids, tf.int32), tf.concat([tf.shape(texts), [most]], axis=0))
    found.set_shape([*texts.shape, most])
    return found
