"""The one transformation from raw values to what a model reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from tfmtl.data.transform_statistics import RESERVED_IDS, TransformStatistics, vocabulary_path
from tfmtl.schema import CategoricalFeature, Feature, NumericFeature, Problem, SequenceFeature

_INT64_POWERS = 63  # of two
CLIP = 10.0  # standard deviations; keeps infinities and outliers from dominating a batch


class RawTransform(tf.Module):
    """Raw features to ids and scaled numbers, in preprocessing workers and in the serving graph alike.

    `encode` and `encode_gap` work element by element on tensors of any shape:
    preprocessing calls them on whole columns, `__call__` on a request. Only
    standard TensorFlow operations are used, so the exported graph needs no
    Python; vocabularies are files, exported as assets.

    Args:
        problem: `Problem`.
        directory: str or Path. Where `TransformStatistics.save` wrote.
        vocabularies: Path or None. Folder of the vocabularies, where it is another than `save` chose: an export has
            them among its assets. Defaults to `None`.
    """

    def __init__(self, problem: Problem, directory: str | Path, vocabularies: Path | None = None) -> None:
        super().__init__(name="raw_transform")
        self._problem = problem
        self._directory = Path(directory)
        self._vocabularies = vocabularies
        self._statistics = TransformStatistics.load(directory, vocabularies)
        self._tables = {
            table: self._vocabulary_table(table)
            for table, features in problem.tables.items()
            if isinstance(features[0], CategoricalFeature) and features[0].hash_buckets is None
        }

    def _vocabulary_table(self, table: str) -> tf.lookup.StaticHashTable:
        size = len(self._statistics.vocabularies[table])
        if size == 0:  # A file without lines cannot initialize a table; this key never occurs in a lookup.
            initializer = tf.lookup.KeyValueTensorInitializer([""], [-1], tf.string, tf.int64)
        else:
            initializer = tf.lookup.TextFileInitializer(
                str(vocabulary_path(self._directory, table, self._vocabularies)),
                key_dtype=tf.string,
                key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
                value_dtype=tf.int64,
                value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
                vocab_size=size,
            )
        return tf.lookup.StaticHashTable(initializer, default_value=-1)

    # === Columns, element by element ===

    def encode(self, name: str, values: tf.Tensor) -> tf.Tensor:
        """One feature's raw values as ids (int32) or scaled numbers (float32), of the same shape.

        Args:
            name: str. The feature.
            values: string tensor for a categorical feature, `""` where missing;
                float32 for a numeric one, NaN where missing.
        """
        feature = self._problem.feature(name)
        if isinstance(feature, CategoricalFeature):
            return self._encode_categorical(feature, tf.convert_to_tensor(values, tf.string))
        values = tf.convert_to_tensor(values, tf.float32)
        return self._bucketize(feature, values) if feature.is_bucketized else self._scale(feature, values)

    def _encode_categorical(self, feature: CategoricalFeature, values: tf.Tensor) -> tf.Tensor:
        if feature.hash_buckets is not None:
            ids = tf.strings.to_hash_bucket_fast(values, feature.hash_buckets) + RESERVED_IDS
        else:
            ids = self._tables[feature.table_name].lookup(values) + RESERVED_IDS
        return tf.cast(tf.where(values == "", tf.zeros_like(ids), ids), tf.int32)

    def _bucketize(self, feature: NumericFeature, values: tf.Tensor) -> tf.Tensor:
        missing = tf.math.is_nan(values)
        boundaries = list(self._statistics.boundaries[feature.name])
        # NaN compares with nothing, so it is replaced before and masked after.
        ids = tf.raw_ops.Bucketize(input=tf.where(missing, 0.0, values), boundaries=boundaries) + RESERVED_IDS
        return tf.where(missing, 0, ids)

    def _scale(self, feature: NumericFeature, values: tf.Tensor) -> tf.Tensor:
        # float64 inside: vectorised and scalar logarithms differ in the last float32 bit, so a value's result
        # would depend on its place in the batch.
        x = tf.cast(values, tf.float64)
        if feature.transform == "log_z_score":
            x = signed_log(x)
        mean, deviation = self._statistics.means[feature.name], self._statistics.deviations[feature.name]
        scaled = tf.clip_by_value((x - mean) * (1.0 / deviation if deviation > 0.0 else 1.0), -CLIP, CLIP)
        return tf.cast(tf.where(tf.math.is_nan(x), tf.zeros_like(x), scaled), tf.float32)

    def encode_gap(self, sequence: SequenceFeature, gap: tf.Tensor) -> tf.Tensor:
        """Time from event to example, in the unit of the log, as ids 2 and up (int32)."""
        seconds = tf.cast(gap, tf.int64) // self._problem.keys.ticks_per_second
        # Not `Bucketize`, which compares as float32: 2**25 - 1 is 2**25 there.
        powers = range(min(sequence.time_gap_buckets - 1, _INT64_POWERS))
        boundaries = tf.constant([2**power for power in powers], tf.int64)
        ids = tf.searchsorted(boundaries, tf.reshape(seconds, [-1]), side="right")
        return tf.reshape(ids, tf.shape(seconds)) + RESERVED_IDS

    # === Requests ===

    def __call__(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Raw request features (see `raw_signature`) to the features a model reads."""
        return self.encode_parts(raw, self._problem.features, self._problem.sequences)

    def encode_parts(
        self, raw: Mapping[str, tf.Tensor], features: Sequence[Feature], sequences: Sequence[SequenceFeature] = ()
    ) -> dict[str, tf.Tensor]:
        """The same for some features and sequences of the problem, which are all that `raw` has to hold."""
        encoded: dict[str, tf.Tensor] = {}
        for feature in features:
            values = self.encode(feature.name, raw[feature.name])
            if isinstance(feature, CategoricalFeature) and feature.multi_valued:
                present = tf.ragged.boolean_mask(values, values != 0)
                values = present[:, : feature.max_values].to_tensor(shape=(None, feature.max_values))
            encoded[feature.name] = values
        for sequence in sequences:
            encoded.update(self._encode_sequence(sequence, raw))
        return encoded

    def _encode_sequence(self, sequence: SequenceFeature, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        events = {
            sequence.column_key(column): self.encode(column, raw[sequence.column_key(column)])
            for column in sequence.columns
        }
        first_key = sequence.column_key(sequence.columns[0])
        present = events[first_key] != 0
        if sequence.time_gap_buckets:
            self._check_aligned(first_key, present, sequence.time_key, raw[sequence.time_key])
            gap = raw[str(self._problem.keys.time)][:, tf.newaxis] - raw[sequence.time_key]
            events[sequence.gap_key] = self.encode_gap(sequence, gap)
        encoded = {}
        for key, ids in events.items():
            self._check_aligned(first_key, present, key, ids)
            last = tf.ragged.boolean_mask(ids, present)[:, -sequence.max_length :]
            encoded[key] = last.to_tensor(shape=(None, sequence.max_length))
        return encoded

    def _check_aligned(self, first_key: str, first: tf.Tensor, key: str, values: tf.Tensor) -> None:
        tf.debugging.assert_equal(
            tf.shape(values),
            tf.shape(first),
            message=f"Feature '{key}' must have as many events per row as '{first_key}'.",
        )


def signed_log(x: tf.Tensor) -> tf.Tensor:
    """`sign(x) * log(1 + |x|)`."""
    return tf.sign(x) * tf.math.log1p(tf.abs(x))
