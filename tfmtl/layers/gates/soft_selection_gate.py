"""DEPHN's Soft Selection Gating (SSG)."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.schema.checks import check_bool, check_heads, check_positive_int, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class SoftSelectionGate(keras.layers.Layer):
    """Lets each group of experts choose, field by field, between the raw embedding and its self-attention.

    Group n gets `sigmoid(p_n) * E_SA + (1 - sigmoid(p_n)) * E`, with one trainable number p for each field. E_SA is
    multi-head self-attention over the fields, projected back to their width, without biases. The gates start half
    open, so with one attention for all the groups start from the same representation and part in training.

    Shapes: B batch, N groups, F fields, D embedding width.

    Args:
        num_groups: int. Number of groups N, each with a gate of its own.
        num_heads: int. Number of attention heads; it must divide D. Defaults to `2`.
        private_attention: bool. Whether each group has an attention of its own; if not, one serves all.
            Defaults to `False`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, F, D)`.

    Returns:
        float `(B, N, F, D)`.

    Raises:
        ValueError: If a size is not positive, or at build if the inputs have another shape or `num_heads` does not
            divide D.
        TypeError: If a size is not an int or the switch not a bool.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.SoftSelectionGate(num_groups=3)(keras.ops.ones((8, 6, 4))).shape
    TensorShape([8, 3, 6, 4])

    Reference:
        Kong et al. 2023 (DEPHN), https://arxiv.org/abs/2307.12519, eq. 1. One number per field, the projection back to
        D and gates that start half open are our reading.
    """

    def __init__(self, num_groups: int, num_heads: int = 2, private_attention: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_groups", num_groups)
        check_positive_int(owner, "num_heads", num_heads)
        check_bool(owner, "private_attention", private_attention)
        self.num_groups = num_groups
        self.num_heads = num_heads
        self.private_attention = private_attention

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_shape(owner, "inputs", input_shape, "B, F, D")
        _, fields, width = input_shape
        check_heads(owner, self.num_heads, width)
        attentions = self.num_groups if self.private_attention else 1
        # All queries, then all keys, then all values.
        self.projections = StackedDense(3 * attentions, width, use_bias=False, dtype=self.dtype_policy)
        self.projections.build((None, 1, width))
        self.output_projection = StackedDense(attentions, width, use_bias=False, dtype=self.dtype_policy)
        self.output_projection.build((None, attentions, width))
        self.gate_logits = self.add_weight(
            name="gate_logits", shape=(self.num_groups, fields, 1), initializer="zeros", autocast=False
        )

    def call(self, inputs: Tensor) -> Tensor:
        opening = ops.sigmoid(self.gate_logits)  # (N, F, 1)
        attended, raw = (ops.cast(weights, self.compute_dtype) for weights in (opening, 1.0 - opening))
        return attended * self._attention(inputs) + raw * inputs[:, None]

    def _attention(self, inputs: Tensor) -> Tensor:
        """Returns the self-attention over the fields, `(B, A, F, D)` with A = 1 or N."""
        _, fields, width = inputs.shape
        attentions = self.output_projection.num_stacks
        head_width = width // self.num_heads
        projected = self.projections(ops.reshape(inputs, (-1, 1, width)))  # (B * F, 3 * A, D)
        heads = ops.reshape(projected, (-1, fields, 3, attentions * self.num_heads, head_width))
        queries, keys, values = ops.unstack(ops.transpose(heads, (2, 0, 3, 1, 4)), axis=0)  # each (B, A * h, F, d_h)
        scores = ops.matmul(queries, ops.swapaxes(keys, -1, -2)) / head_width**0.5  # (B, A * h, F, F)
        # Not `ops.softmax`: it warns about an axis of size 1, and there may be a single field.
        mixing = ops.cast(tf.nn.softmax(ops.cast(scores, "float32"), axis=-1), self.compute_dtype)
        joined = ops.transpose(ops.matmul(mixing, values), (0, 2, 1, 3))  # (B, F, A * h, d_h)
        outputs = self.output_projection(ops.reshape(joined, (-1, attentions, width)))  # (B * F, A, D)
        return ops.transpose(ops.reshape(outputs, (-1, fields, attentions, width)), (0, 2, 1, 3))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, fields, width = input_shape
        return (batch, self.num_groups, fields, width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_groups": self.num_groups,
            "num_heads": self.num_heads,
            "private_attention": self.private_attention,
        }
