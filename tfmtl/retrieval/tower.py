"""One tower of a two-tower model, in Keras 2: imported by the training process alone."""

import math
from collections.abc import Mapping, Sequence

import tensorflow as tf
import tf_keras

from tfmtl.schema import EncodedTensor, FeatureRecord, ModelInputs, SequenceFeature
from tfmtl.schema.reserved import MISSING_ID


class EmbeddingTables(tf_keras.layers.Layer):
    """A table for each vocabulary, which both towers read; id 0 is the zero vector.

    Args:
        inputs: `ModelInputs`.
        dim: int. Width.
    """

    def __init__(self, inputs: ModelInputs, dim: int) -> None:
        super().__init__(name="tables")
        self._tables = {}
        for name, rows in inputs.table_rows.items():
            own = tf_keras.initializers.RandomUniform(-0.05, 0.05)  # one for all would give all the same values
            self._tables[name] = self.add_weight(name, (rows, dim), initializer=own)

    def call(self, ids: tf.Tensor, table: str) -> tf.Tensor:
        """Ids of any shape -> vectors, on one axis more."""
        return tf.gather(self._tables[table], ids) * tf.cast(ids != MISSING_ID, tf.float32)[..., tf.newaxis]


class Tower(tf_keras.layers.Layer):
    """Encoded features to vectors of length 1: embeddings and means of histories through a small network.

    Of a history the mean of its events is read and, beside it, the last event. What the layer of a feature's kind reads
    in the ranking model, such as a vector, is read as it is encoded, and of ids it looks up the mean.

    Args:
        name: str.
        inputs: `ModelInputs`.
        tables: `EmbeddingTables`.
        features: those of this side.
        sequences: likewise.
        units: widths of the hidden layers and of the output.
    """

    def __init__(
        self,
        name: str,
        inputs: ModelInputs,
        tables: EmbeddingTables,
        features: Sequence[FeatureRecord],
        sequences: Sequence[SequenceFeature],
        units: Sequence[int],
    ) -> None:
        super().__init__(name=name)
        self._problem = inputs.problem
        self._tables = tables
        self._features = features
        self._sequences = sequences
        self._network = tf_keras.Sequential(
            [*(tf_keras.layers.Dense(width, "relu") for width in units[:-1]), tf_keras.layers.Dense(units[-1])]
        )

    def call(self, encoded: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Features as `encoded_signature` names them -> float32 `(B, units[-1])`."""
        parts = [
            self._field(each, encoded[each.key])
            for feature in self._features
            for each in feature.tensors(self._problem)
        ]
        parts += [part for sequence in self._sequences for part in self._history(sequence, encoded)]
        return tf.math.l2_normalize(self._network(tf.concat(parts, axis=1)), axis=1)

    def _field(self, tensor: EncodedTensor, values: tf.Tensor) -> tf.Tensor:
        """`(B, ...)` of a feature -> `(B, D)`."""
        if tensor.table is None:
            return tf.reshape(values, (-1, math.prod(tensor.inner)))
        if not tensor.inner:
            return self._tables(values, tensor.table)
        ids = tf.reshape(values, (-1, math.prod(tensor.inner)))
        return _mean(self._tables(ids, tensor.table), ids)

    def _history(self, sequence: SequenceFeature, encoded: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        parts = []
        present = encoded[sequence.column_key(sequence.columns[0])]
        last = tf.maximum(tf.math.count_nonzero(present, axis=1, dtype=tf.int32) - 1, 0)
        for column in sequence.columns:
            for tensor in self._problem.feature(column).tensors(self._problem):
                events = self._events(tensor, encoded[sequence.column_key(tensor.key)])
                parts += [_mean(events, present), tf.gather(events, last, batch_dims=1)]
        return parts

    def _events(self, tensor: EncodedTensor, values: tf.Tensor) -> tf.Tensor:
        """`(B, L, ...)` of a column -> `(B, L, D)`: to `_field` an event is a row."""
        length = tf.shape(values)[1]
        fields = self._field(tensor, tf.reshape(values, (-1, *tensor.inner)))
        return tf.reshape(fields, (-1, length, fields.shape[-1]))


def _mean(vectors: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Mean over the last axis but one of those whose id is not 0; zero without any."""
    weights = tf.cast(ids != MISSING_ID, tf.float32)[..., tf.newaxis]
    return tf.math.divide_no_nan(tf.reduce_sum(vectors * weights, axis=-2), tf.reduce_sum(weights, axis=-2))
