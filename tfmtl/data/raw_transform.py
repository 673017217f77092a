"""The transformation from raw values to model inputs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from tfmtl.data.newest_events import NewestEvents
from tfmtl.data.raw_view import raw_view
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features import FeatureBehavior, behavior_of
from tfmtl.features.behaviors import derive_together
from tfmtl.features.feature_behavior import FittedState
from tfmtl.folders.fitted_files import FittedFiles
from tfmtl.schema import FeatureRecord, Problem, SequenceFeature
from tfmtl.schema.reserved import MISSING_ID, NOT_FOUND, RESERVED_IDS

_FLOAT_BITS, _EXPONENT_OF_HALF = 23, 126  # of float32


class RawTransform(tf.Module):
    """Raw features to ids and numbers, in preprocessing workers and in the serving graph alike.

    What becomes of a value is said by the behavior of its feature's kind. `encode` and `encode_gap` work element by
    element on tensors of any shape: preprocessing calls them on whole columns, `__call__` on a request. Only standard
    TensorFlow operations are used, so the exported graph needs no Python; vocabularies are files, exported as assets.

    Args:
        problem: `Problem`.
        directory: str or Path. Folder that `TransformStatistics.save` wrote.
        vocabularies: Path or None. Folder of the vocabularies if they lie elsewhere: an export has them among its
            assets. Defaults to `None`: below `directory`.
        statistics: `TransformStatistics` or None. What was saved, where it is at hand. Defaults to `None`: it is read.
    """

    def __init__(
        self,
        problem: Problem,
        directory: str | Path,
        vocabularies: Path | None = None,
        statistics: TransformStatistics | None = None,
    ) -> None:
        super().__init__(name="raw_transform")
        self._problem = problem
        self._files = FittedFiles(directory, vocabularies)
        self._statistics = statistics or TransformStatistics.load(directory, vocabularies)
        self._tables: dict[str, tf.lookup.StaticHashTable] = {}  # tracked, so that their files become assets
        fitted = FittedState(self._statistics, self._vocabulary_table)
        self.behaviors: dict[str, FeatureBehavior] = {}
        for feature in problem.features:
            behavior = behavior_of(feature, problem)
            behavior.load(fitted)
            self.behaviors[feature.name] = behavior

    def _vocabulary_table(self, table: str) -> tf.lookup.StaticHashTable:
        """The lookup of a table, which features may share."""
        if table not in self._tables:
            self._tables[table] = self._read_table(table)
        return self._tables[table]

    def _read_table(self, table: str) -> tf.lookup.StaticHashTable:
        size = len(self._statistics.vocabularies[table])
        if size == 0:  # A file without lines cannot initialize a table; this key never occurs in a lookup.
            initializer = tf.lookup.KeyValueTensorInitializer([""], [NOT_FOUND], tf.string, tf.int64)
        else:
            initializer = tf.lookup.TextFileInitializer(
                str(self._files.vocabulary(table)),
                key_dtype=tf.string,
                key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
                value_dtype=tf.int64,
                value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
                vocab_size=size,
            )
        return tf.lookup.StaticHashTable(initializer, default_value=NOT_FOUND)

    # === Columns, element by element ===

    def encode(self, name: str, values: tf.Tensor) -> tf.Tensor:
        """One feature's raw values as ids (int32) or numbers (float32), of the same shape.

        Args:
            name: str. A feature with one input and one encoded tensor.
            values: tensor of the input's dtype, missing values as a request says them.
        """
        [encoded] = self.encode_feature(name, values).values()
        return encoded

    def encode_feature(self, name: str, values: tf.Tensor) -> dict[str, tf.Tensor]:
        """All encoded tensors of a feature with one input, `(*lead, *inner)` each, of its `(*lead, *inner)` values."""
        [given] = self._problem.feature(name).inputs()
        return self.behaviors[name].encode({given.key: tf.convert_to_tensor(values, given.dtype)})

    def encode_gap(self, sequence: SequenceFeature, gap: tf.Tensor) -> tf.Tensor:
        """Time from event to example, in the unit of the log, as ids 2 and up (int32)."""
        per_second = self._problem.keys.ticks_per_second
        gap = tf.cast(gap, tf.int64)
        seconds = tf.maximum(gap if per_second == 1 else gap // per_second, 0)
        # The place of the first bit, from the exponent of a float; without the second bit it is never rounded up.
        # `Bucketize` compares as float32, where 2**25 - 1 is 2**25, and a search takes three times as long.
        two_bits = tf.bitwise.bitwise_and(seconds, tf.bitwise.right_shift(seconds, tf.ones_like(seconds)))
        exponents = tf.bitwise.right_shift(tf.bitcast(tf.cast(seconds - two_bits, tf.float32), tf.int32), _FLOAT_BITS)
        return tf.clip_by_value(exponents - _EXPONENT_OF_HALF, 0, sequence.time_gap_buckets - 1) + RESERVED_IDS

    def __call__(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Raw request features (see `raw_signature`) to the features a model reads."""
        return self.encode_parts(raw, self._problem.features, self._problem.sequences)

    def encode_parts(
        self, raw: Mapping[str, tf.Tensor], features: Sequence[FeatureRecord], sequences: Sequence[SequenceFeature] = ()
    ) -> dict[str, tf.Tensor]:
        """The same for some features and sequences of the problem; `raw` has to hold what these read."""
        encoded: dict[str, tf.Tensor] = {}
        derived = [feature for feature in features if not feature.inputs()]
        for feature in features:
            if feature in derived:
                continue
            values = self.behaviors[feature.name].encode({each.key: raw[each.key] for each in feature.inputs()})
            encoded.update(self._cut_lists(feature, values))
        for sequence in sequences:
            encoded.update(self._encode_sequence(sequence, raw))
        if derived:  # last, when it is known that histories are of equal lengths
            behaviors = [self.behaviors[feature.name] for feature in derived]
            view = raw_view(self._problem, raw, derived, any(each.needs_windows for each in behaviors))
            encoded.update(derive_together(behaviors, view))
        return encoded

    def _cut_lists(self, feature: FeatureRecord, encoded: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """A feature's tensors `(*lead, *inner)`: of lists, however long, the first present ids, filled up with 0."""
        found = {}
        for tensor in feature.tensors(self._problem):
            values = encoded[tensor.key]
            if tensor.role == "ids":
                lead = tf.shape(values)[:-1]
                flat = (
                    tf.reshape(values, (tf.reduce_prod(lead), tf.shape(values)[-1]))
                    if values.shape.rank > 2
                    else values
                )
                present = tf.ragged.boolean_mask(flat, flat != 0)
                cut = present[:, : tensor.inner[0]].to_tensor(shape=(None, *tensor.inner))
                values = tf.reshape(cut, (*tf.unstack(lead), *tensor.inner)) if values.shape.rank > 2 else cut
            found[tensor.key] = values
        return found

    def _encode_sequence(self, sequence: SequenceFeature, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        events: dict[str, tf.Tensor] = {}
        for column in sequence.columns:
            found = self.encode_feature(column, raw[sequence.column_key(column)])
            found = self._cut_lists(self._problem.feature(column), found)
            events |= {sequence.column_key(key): values for key, values in found.items()}
        first_key = sequence.column_key(sequence.columns[0])
        present = events[first_key] != MISSING_ID
        if sequence.needs_times(self._problem):
            self._check_aligned(first_key, present, sequence.time_key, raw[sequence.time_key])
        if sequence.time_gap_buckets:
            gap = raw[str(self._problem.keys.time)][:, tf.newaxis] - raw[sequence.time_key]
            events[sequence.gap_key] = self.encode_gap(sequence, gap)
        newest, encoded = NewestEvents(present, sequence.max_length), {}
        for key, values in events.items():
            self._check_aligned(first_key, present, key, values)
            encoded[key] = newest.read(values)
        return encoded

    def _check_aligned(self, first_key: str, first: tf.Tensor, key: str, values: tf.Tensor) -> None:
        tf.debugging.assert_equal(
            tf.shape(values)[:2],
            tf.shape(first),
            message=f"Feature '{key}' must have as many events per row as '{first_key}'.",
        )
