"""Hashed target attention (SDIM): events that share a hash value with the candidate, for histories of thousands."""

import functools
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.sequence._sequence_shapes import check_sequence_shapes
from tfmtl.schema.checks import check_one_of, check_positive_int, error_text

NORMALIZATIONS = ("mean", "l2", "sum")

_MOST_BITS = 8


@keras.saving.register_keras_serializable(package="tfmtl")
class HashedAttention(keras.layers.Layer):
    """Weighs the events of every behavior sequence by how often their hash value is the query's.

    A hash value of a vector is its sides of `num_bits` random hyperplanes through the origin. A query and an event
    at the angle a share it with the probability `(1 - a / pi) ** num_bits`, so with many hash functions the weights
    are those of an attention by cosine similarity, and more bits make it sharper. Nothing is learned here, and no
    gradient reaches the queries. The hyperplanes are weights that no training changes: a saved layer hashes as before.

    The cost grows with L, and no product of queries and events is stored. Where one row of events meets many queries
    (`rank`: one user, N candidates), the events are summed by hash value once, and a query reads its own sums.

    Shapes: B batch, J behaviors, L sequence length, D embedding width, G `num_hashes`.

    Args:
        num_hashes: int. Number of hash functions G: more of them, less chance. Defaults to `16`.
        num_bits: int, from 1 to 8. Hyperplanes of each hash function. Defaults to `3`.
        normalization: str. `"mean"`: the mean of the events that share a hash value with the query, one that shares
            several counted several times: weights with the sum 1, as those of a softmax. `"l2"`: the mean over hash
            functions of the sums of events, each divided by its Euclidean norm. `"sum"`: as `"l2"`, not divided, which
            grows with the history. Defaults to `"mean"`.
        seed: int or None. Of the hyperplanes. Defaults to `None`: drawn from Keras's seed, as other weights are.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(B, J, L, D)`, `"event_mask"`, bool `(B, J, L)`, true at real events, and
            `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, J, D)`; zeros for an empty sequence, and where no event shares a hash value with the query.

    Raises:
        ValueError: If a number is out of its range, `normalization` unknown, or at build if a shape does not fit.
        TypeError: If a number is not an int.

    Example:

    >>> import keras, tfmtl
    >>> events, mask = keras.ops.ones((8, 3, 5, 4)), keras.ops.ones((8, 3, 5), "bool")
    >>> inputs = {"events": events, "event_mask": mask, "queries": keras.ops.ones((8, 3, 4))}
    >>> tfmtl.layers.HashedAttention()(inputs).shape
    TensorShape([8, 3, 4])

    Reference:
        Cao et al. 2022 (SDIM), https://arxiv.org/abs/2205.10249; hashing by hyperplanes in such a place after Chen et
        al. 2021 (ETA), https://arxiv.org/abs/2108.04468. `"l2"` is the paper's. `"mean"` is ours: its limit is exactly
        an attention with the probabilities above as weights, and its vector is of the size of an event's, where a
        vector of norm 1 is many times an untrained embedding.
    """

    def __init__(
        self,
        num_hashes: int = 16,
        num_bits: int = 3,
        normalization: str = "mean",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_hashes", num_hashes)
        check_positive_int(owner, "num_bits", num_bits)
        if num_bits > _MOST_BITS:
            advice = "More bits make buckets so small that no event shares one with the query. Use 2 to 4."
            raise ValueError(error_text(owner, "num_bits", f"be at most {_MOST_BITS}", num_bits, advice))
        check_one_of(owner, "normalization", normalization, NORMALIZATIONS)
        self.num_hashes = num_hashes
        self.num_bits = num_bits
        self.normalization = normalization
        self.seed = seed

    def build(self, input_shape: Shapes) -> None:
        check_sequence_shapes(type(self).__name__, input_shape, with_queries=True)
        self.hyperplanes = self.add_weight(
            name="hyperplanes",
            shape=(self.num_bits, input_shape["events"][-1], self.num_hashes),
            initializer=keras.initializers.RandomNormal(seed=self.seed),
            trainable=False,
            autocast=False,  # a side of a hyperplane must not depend on the precision
        )

    def call(self, inputs: Tensors) -> Tensor:
        mask, queries = inputs["event_mask"], inputs["queries"]
        events = ops.where(mask[..., None], inputs["events"], 0.0)
        if events.shape[0] == 1 and queries.shape[0] != 1:
            return self._from_buckets(events, mask, queries)
        # Bit by bit, so that what is stored is (B, J, L, G) truth values.
        pairs = zip(self._sides(events), self._sides(queries[:, :, None]), strict=True)
        shared = functools.reduce(ops.logical_and, [ops.equal(event, query) for event, query in pairs])
        shared = ops.cast(ops.logical_and(shared, mask[..., None]), "float32")  # (B, J, L, G)
        if self.normalization == "l2":
            by_hash = ops.matmul(ops.swapaxes(shared, -1, -2), ops.cast(events, "float32"))  # (B, J, G, D)
            return ops.cast(ops.mean(_unit(by_hash), axis=-2), self.compute_dtype)
        counts = ops.sum(shared, axis=-1)  # (B, J, L)
        weights = ops.cast(counts / self._divisor(ops.sum(counts, axis=-1, keepdims=True)), self.compute_dtype)
        return ops.matmul(weights[:, :, None], events)[:, :, 0]

    def _sides(self, vectors: Tensor) -> list[Tensor]:
        """The side of every hash function's hyperplane, for each bit: bool `(..., G)`."""
        vectors = ops.cast(ops.stop_gradient(vectors), "float32")
        return [ops.matmul(vectors, planes) > 0.0 for planes in ops.unstack(ops.convert_to_tensor(self.hyperplanes))]

    def _hash_values(self, vectors: Tensor) -> Tensor:
        """int `(..., G)`, from 0 to 2 ** num_bits - 1."""
        sides = self._sides(vectors)
        return functools.reduce(ops.add, [ops.cast(side, "int32") * 2**bit for bit, side in enumerate(sides)])

    def _from_buckets(self, events: Tensor, mask: Tensor, queries: Tensor) -> Tensor:
        """The same for one row of events and many queries, `(N, J, D)`."""
        _, behaviors, length, width = events.shape
        size = 2**self.num_bits
        values = ops.where(mask[..., None], self._hash_values(events), -1)  # (1, J, L, G); -1 is in no bucket
        members = tf.reshape(tf.one_hot(values, size), (behaviors, length, self.num_hashes * size))
        events = ops.cast(events[0], "float32")
        with_counts = ops.concatenate([events, ops.ones((behaviors, length, 1))], axis=-1)
        buckets = tf.matmul(members, with_counts, transpose_a=True)  # (J, G * size, D + 1), once for all queries
        places = self._hash_values(queries) + size * ops.arange(self.num_hashes, dtype="int32")  # (N, J, G)
        own = tf.gather(buckets, tf.transpose(places, (1, 0, 2)), batch_dims=1)  # (J, N, G, D + 1)
        sums, counts = own[..., :width], own[..., width:]
        if self.normalization == "l2":
            pooled = ops.mean(_unit(sums), axis=-2)
        else:
            pooled = ops.sum(sums, axis=-2) / self._divisor(ops.sum(counts, axis=-2))
        return ops.cast(ops.swapaxes(pooled, 0, 1), self.compute_dtype)

    def _divisor(self, shared: Tensor) -> Tensor | float:
        """What a sum over all hash functions is divided by; `shared` is how often a value was the query's."""
        return ops.maximum(shared, 1.0) if self.normalization == "mean" else float(self.num_hashes)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, behaviors, _, width = input_shape["events"]
        return (batch, behaviors, width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_hashes": self.num_hashes,
            "num_bits": self.num_bits,
            "normalization": self.normalization,
            "seed": self.seed,
        }


def _unit(vectors: Tensor) -> Tensor:
    """Vectors of norm 1, and zero, without a gradient, in place of zero: an untrained value's vector is zero."""
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    is_zero = squares < 1e-24
    return ops.where(is_zero, 0.0, vectors / ops.sqrt(ops.where(is_zero, 1.0, squares)))
