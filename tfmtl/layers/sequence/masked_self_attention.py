"""Multi-head self-attention over padded sequences."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.sequence.slot_attention import slot_attention
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
        events = inputs["events"]
        _, length, width = events.shape
        queries, *others = ops.unstack(self.projections(ops.reshape(events, (-1, 1, width))), axis=1)  # (N * L, D)
        queries = queries / (width // self.num_heads) ** 0.5
        projected = ops.reshape(ops.concatenate([queries, *others], axis=1), (-1, length, 3 * width))
        attended = slot_attention(projected, inputs["event_mask"], 1, self.num_heads, width)
        return self.output_projection(attended)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        return tuple(input_shape["events"])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads}
