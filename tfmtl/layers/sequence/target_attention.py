"""Target attention, the pooling of Deep Interest Network: events are weighted by their fit to the candidate."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.masking import masked_softmax
from tfmtl.core.rows import has_one_for_many
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.sequence._sequence_shapes import check_sequence_shapes
from tfmtl.layers.sequence.event_rows import EventRows, event_rows
from tfmtl.schema.checks import check_bool, check_positive_ints

_BLOCK = 256


@keras.saving.register_keras_serializable(package="tfmtl")
class TargetAttention(keras.layers.Layer):
    """Weighs the events of every behavior sequence by their fit to a query, usually the candidate item.

    A small network, the activation unit, reads `[q, k, q - k, q * k]` for query q and event k and gives one score;
    the result is the sum of events times weights. The network is shared by all behaviors. Where one row of events
    meets many queries (`rank`: one user, N candidates), a long history is read 256 events at a time, so that the
    network's hidden layers take memory for so many and not for all.

    Shapes: B batch, J behaviors, L sequence length, D embedding width.

    Args:
        hidden_units: Sequence of ints. Widths of the activation unit's hidden layers. Defaults to `(32,)`.
        activation: Keras activation or its name, after every hidden layer. Defaults to `"relu"`.
        use_softmax: bool. Whether weights are the softmax of the scores, so that a longer history does not mean a
            larger vector; if not, the scores are the weights, as in the paper. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(B, J, L, D)`, `"event_mask"`, bool `(B, J, L)`, true at real events, and
            `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, J, D)`; zeros for an empty sequence.

    Raises:
        ValueError: If a width is not positive, or at build if a shape does not fit.
        TypeError: If a width is not an int or `use_softmax` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> events, mask = keras.ops.ones((8, 3, 5, 4)), keras.ops.ones((8, 3, 5), "bool")
    >>> inputs = {"events": events, "event_mask": mask, "queries": keras.ops.ones((8, 3, 4))}
    >>> tfmtl.layers.TargetAttention()(inputs).shape
    TensorShape([8, 3, 4])

    Reference:
        Zhou et al. 2018, Deep Interest Network, https://arxiv.org/abs/1706.06978, section 4.3. The difference
        `q - k` among the inputs, the softmax and a plain activation in place of Dice are our reading.
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (32,),
        activation: Any = "relu",
        use_softmax: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_bool(owner, "use_softmax", use_softmax)
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.use_softmax = use_softmax

    def build(self, input_shape: Shapes) -> None:
        check_sequence_shapes(type(self).__name__, input_shape, with_queries=True)
        shape = tuple(input_shape["events"])
        first, *others = self.hidden_units
        self.kernel = self.add_weight(name="kernel", shape=(4 * shape[-1], first))
        self.bias = self.add_weight(name="bias", shape=(first,), initializer="zeros")
        self.dense_layers = []
        for width, units in zip(self.hidden_units, others, strict=False):
            dense = keras.layers.Dense(units, self.activation, dtype=self.dtype_policy)
            dense.build((*shape[:-1], width))
            self.dense_layers.append(dense)
        # A softmax does not see a bias common to all scores.
        self.score = keras.layers.Dense(1, use_bias=not self.use_softmax, dtype=self.dtype_policy)
        self.score.build((*shape[:-1], self.hidden_units[-1]))

    def call(self, inputs: Tensors) -> Tensor:
        events, mask, queries = inputs["events"], inputs["event_mask"], inputs["queries"]
        if has_one_for_many(events, queries):
            return self._of_padded(ops.where(mask[..., None], events, 0.0), mask, queries)
        _, behaviors, length, width = events.shape
        # One behavior with more sequences: nothing need be brought into the order of behaviors.
        rows = event_rows(tf.reshape(mask, (-1, 1, length)))
        packed = rows.pack(tf.cast(tf.reshape(events, (-1, 1, length, width)), self.compute_dtype))
        pooled = self.on_rows(packed[:, tf.newaxis], rows, tf.reshape(queries, (-1, 1, 1, width)))
        return tf.reshape(pooled, (-1, behaviors, width))

    def on_rows(self, events: Tensor, rows: EventRows, queries: Tensor) -> Tensor:
        """The same for events as rows, and for several streams of them, such as tasks.

        Args:
            events: float `(R, S, D)`.
            rows: what the rows are.
            queries: float `(B, J, S, D)`, or `(B, J, 1, D)`, the same for all streams.

        Returns:
            float `(B, J, S, D)`.
        """

        def given(values: Tensor) -> Tensor:
            """`(B, J, S, W)` -> `(R, S, W)`."""
            _, behaviors, streams, width = values.shape
            flat = rows.given(tf.reshape(values, (-1, behaviors, streams * width)))
            return tf.reshape(flat, (-1, streams, width))

        scores = self._scores(events, given(queries), given(self._of_queries(queries)))  # (R, S)
        scores = tf.cast(scores, tf.float32)
        weights = rows.softmax(scores) if self.use_softmax else scores
        _, streams, width = events.shape
        weighted = weights[:, :, tf.newaxis] * tf.cast(events, tf.float32)
        pooled = rows.total(tf.reshape(weighted, (-1, streams * width)))  # (B, J, S * D)
        pooled = tf.reshape(pooled, (rows.batch, queries.shape[1], streams, width))
        return tf.cast(pooled, self.compute_dtype)

    def _of_padded(self, events: Tensor, mask: Tensor, queries: Tensor) -> Tensor:
        """For events `(1, J, L, D)` and queries `(N, J, D)`, which all share the padding; or N of events and 1."""
        queries = queries[:, :, None]
        of_queries = self._of_queries(queries)
        is_long = events.shape[0] == 1 and events.shape[2] > _BLOCK
        score = self._scores_by_block if is_long else self._scores
        scores = score(events, queries, of_queries)  # (N, J, L)
        weights = masked_softmax(scores, mask) if self.use_softmax else ops.where(mask, scores, 0.0)
        return ops.matmul(weights[:, :, None], events)[:, :, 0]  # (N, J, D)

    # [q, k, q - k, q * k] K is four products: the query's part is computed once for all its events, and the wide
    # concatenation is never stored. It takes a third less time than the product as written.

    def _of_queries(self, queries: Tensor) -> Tensor:
        """What a query by itself gives to the first hidden layer, `(..., D)` -> `(..., first)`."""
        query, _, difference, _ = ops.split(ops.convert_to_tensor(self.kernel), 4, axis=0)
        return ops.matmul(queries, query + difference) + self.bias

    def _scores(self, events: Tensor, queries: Tensor, of_queries: Tensor) -> Tensor:
        """Of events `(..., D)`, with queries and what `_of_queries` makes of them in shapes that fit."""
        _, event, difference, product = ops.split(ops.convert_to_tensor(self.kernel), 4, axis=0)
        hidden = ops.matmul(events, event - difference) + ops.matmul(events * queries, product)
        hidden = self.activation(hidden + of_queries)  # (..., first)
        for dense in self.dense_layers:
            hidden = dense(hidden)
        return self.score(hidden)[..., 0]

    def _scores_by_block(self, events: Tensor, queries: Tensor, of_queries: Tensor) -> Tensor:
        """The same for events `(1, J, L, D)`, one block of them after the other."""
        _, behaviors, length, width = events.shape
        count = -(-length // _BLOCK)
        padded = ops.pad(events, [[0, 0], [0, 0], [0, count * _BLOCK - length], [0, 0]])
        blocks = ops.transpose(ops.reshape(padded, (1, behaviors, count, _BLOCK, width)), (2, 0, 1, 3, 4))
        scores = tf.map_fn(
            lambda block: self._scores(block, queries, of_queries),
            blocks,
            parallel_iterations=1,  # or all blocks may be in memory at once
            fn_output_signature=tf.as_dtype(self.compute_dtype),
        )  # (count, N, J, 256)
        return ops.reshape(ops.transpose(scores, (1, 2, 0, 3)), (-1, behaviors, count * _BLOCK))[:, :, :length]

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, behaviors, _, width = input_shape["events"]
        return (batch, behaviors, width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "use_softmax": self.use_softmax,
        }
