"""AutoInt's interacting layer: self-attention over fields."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.schema.checks import check_bool, check_positive_int, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class InteractingAttention(keras.layers.Layer):
    """Lets every field look at all fields: `relu(concat_h softmax(Q_h K_h^T) V_h + E W_res)`.

    Nothing tells the fields' positions: permuted fields give permuted results.

    Shapes: B batch, F fields, D embedding width, H heads, a width of a head.

    Args:
        head_dim: int. Width a of a head. Defaults to `8`.
        num_heads: int. Number of heads H. Defaults to `2`.
        use_scaling: bool. Whether the scores are divided by `sqrt(a)`. Defaults to `False`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, F, D)`.

    Returns:
        float `(B, F, H * a)`, not negative.

    Raises:
        ValueError: If a size is not positive, or at build if the inputs have another shape.
        TypeError: If a size is not an int or `use_scaling` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.InteractingAttention(head_dim=8, num_heads=2)(keras.ops.ones((8, 6, 4))).shape
    TensorShape([8, 6, 16])

    Reference:
        Song et al. 2019 (AutoInt), https://arxiv.org/abs/1810.11921, eq. 5-8. The paper does not scale the scores;
        the option is DeepCTR's.
    """

    def __init__(self, head_dim: int = 8, num_heads: int = 2, use_scaling: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "head_dim", head_dim)
        check_positive_int(owner, "num_heads", num_heads)
        check_bool(owner, "use_scaling", use_scaling)
        self.head_dim = head_dim
        self.num_heads = num_heads
        self.use_scaling = use_scaling

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "B, F, D")
        # Queries, keys, values and the residual, in this order.
        self.projections = StackedDense(4, self.num_heads * self.head_dim, use_bias=False, dtype=self.dtype_policy)
        self.projections.build((None, 1, input_shape[-1]))

    def call(self, inputs: Tensor) -> Tensor:
        queries, keys, values, residual = self._project(inputs)
        attended = ops.matmul(self._weights(queries, keys), values)
        joined = ops.transpose(ops.relu(attended + residual), (0, 2, 1, 3))  # (B, F, H, a)
        return ops.reshape(joined, (-1, inputs.shape[1], self.num_heads * self.head_dim))

    def attention_weights(self, inputs: Tensor) -> Tensor:
        """Returns how much every field takes of every field, float `(B, H, F, F)`; rows sum to 1."""
        queries, keys, _, _ = self._project(inputs)
        return self._weights(queries, keys)

    def _project(self, inputs: Tensor) -> list[Tensor]:
        """Returns queries, keys, values and the residual, each `(B, H, F, a)`."""
        _, fields, width = inputs.shape
        projected = self.projections(ops.reshape(inputs, (-1, 1, width)))  # (B * F, 4, H * a)
        heads = ops.reshape(projected, (-1, fields, 4, self.num_heads, self.head_dim))
        return list(ops.unstack(ops.transpose(heads, (2, 0, 3, 1, 4)), axis=0))

    def _weights(self, queries: Tensor, keys: Tensor) -> Tensor:
        scores = ops.cast(ops.matmul(queries, ops.swapaxes(keys, -1, -2)), "float32")
        if self.use_scaling:
            scores = scores / self.head_dim**0.5
        # Not `ops.softmax`: it warns about an axis of size 1, and there may be a single field.
        return ops.cast(tf.nn.softmax(scores, axis=-1), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, fields, _ = input_shape
        return (batch, fields, self.num_heads * self.head_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "head_dim": self.head_dim,
            "num_heads": self.num_heads,
            "use_scaling": self.use_scaling,
        }
