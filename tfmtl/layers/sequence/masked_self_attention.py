"""Multi-head self-attention over padded sequences."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.masking import masked_softmax
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.schema.checks import check_heads, check_keys, check_positive_int, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class MaskedSelfAttention(keras.layers.Layer):
    """Lets every event look at the real events of its own sequence.

    With heads h of width d_h, `softmax(Q_h K_h^T / sqrt(d_h)) V_h`, concatenated and projected. A row that is padding
    throughout has the attention zero. Only the output projection has a bias: a softmax over keys does not see the
    keys' bias, the values' bias is the output's in other coordinates, and the queries' bias, a preference for keys
    whatever the query, is left out: our reading.

    Shapes: N sequences, L sequence length, D embedding width.

    Args:
        num_heads: int. Number of heads; it must divide D. Defaults to `2`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(N, L, D)`, and `"event_mask"`, bool `(N, L)`, true at real events.

    Returns:
        float `(N, L, D)`. What stands at padded positions means nothing.

    Raises:
        ValueError: If `num_heads` is not positive, or at build if it does not divide D.
        TypeError: If `num_heads` is not an int.

    Example:

    >>> import keras, tfmtl
    >>> inputs = {"events": keras.ops.ones((8, 5, 4)), "event_mask": keras.ops.ones((8, 5), "bool")}
    >>> tfmtl.layers.MaskedSelfAttention(num_heads=2)(inputs).shape
    TensorShape([8, 5, 4])

    Reference:
        Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.2.
    """

    def __init__(self, num_heads: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive_int(type(self).__name__, "num_heads", num_heads)
        self.num_heads = num_heads

    def build(self, input_shape: Shapes) -> None:
        owner = type(self).__name__
        check_keys(owner, "inputs", input_shape, ("events", "event_mask"))
        check_shape(owner, "events", input_shape["events"], "N, L, D")
        *_, length, width = input_shape["events"]
        check_heads(owner, self.num_heads, width)
        self.projections = StackedDense(3, width, use_bias=False, dtype=self.dtype_policy)
        self.projections.build((None, 1, width))
        self.output_projection = keras.layers.Dense(width, dtype=self.dtype_policy)
        self.output_projection.build((None, length, width))

    def call(self, inputs: Tensors) -> Tensor:
        queries, keys, values = self.project(inputs["events"])
        attended = ops.matmul(self.attention_weights(queries, keys, inputs["event_mask"]), values)
        return self.output_projection(merged_heads(attended))

    def project(self, events: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of `(N, L, D)`, each `(N, heads, L, d_h)`."""
        _, length, width = events.shape
        projected = self.projections(ops.reshape(events, (-1, 1, width)))  # (N * L, 3, D)
        heads = ops.reshape(projected, (-1, length, 3, self.num_heads, width // self.num_heads))
        queries, keys, values = ops.unstack(ops.transpose(heads, (2, 0, 3, 1, 4)), axis=0)
        return queries, keys, values

    def attention_weights(self, queries: Tensor, keys: Tensor, event_mask: Tensor) -> Tensor:
        """How much every event looks at every other, `(N, heads, L, L)`."""
        scores = ops.matmul(queries, ops.swapaxes(keys, -1, -2)) / queries.shape[-1] ** 0.5
        return masked_softmax(scores, event_mask[:, None, None])

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        return tuple(input_shape["events"])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads}


def merged_heads(values: Tensor) -> Tensor:
    """Puts the heads of `(..., heads, L, d_h)` side by side: `(N, L, D)`, N all axes before the heads."""
    heads, length, head_width = values.shape[-3:]
    by_event = ops.transpose(ops.reshape(values, (-1, heads, length, head_width)), (0, 2, 1, 3))
    return ops.reshape(by_event, (-1, length, heads * head_width))
