"""The gate that mixes experts."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.core.validation import check_positive_int
from tfmtl.layers.dense.stacked_dense import StackedDense


@keras.saving.register_keras_serializable(package="tfmtl")
class SoftmaxGate(keras.layers.Layer):
    """Gives every task its mixing weights over the experts: `softmax(W_k x)`, without bias.

    Shapes: B batch, T tasks, S = 1 or T, E experts, H width.

    Args:
        num_tasks: int. Number of tasks T, each with a matrix of its own.
        num_experts: int. Number of experts E.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`.

    Returns:
        float `(B, T, E)`; non-negative, and sums to 1 over E.

    Raises:
        ValueError: If a size is not positive, or at build if the inputs are neither `(B, 1, H)` nor `(B, T, H)`.
        TypeError: If a size is not an int.

    Reference:
        Ma et al. 2018 (MMoE), https://doi.org/10.1145/3219819.3220007.
    """

    def __init__(self, num_tasks: int, num_experts: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_positive_int(owner, "num_experts", num_experts)
        self.num_tasks = num_tasks
        self.num_experts = num_experts

    def build(self, input_shape: Shape) -> None:
        self.logits = StackedDense(self.num_tasks, self.num_experts, use_bias=False, dtype=self.dtype_policy)
        self.logits.build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        # In float32, because a sum of weights rounded to bfloat16 can miss 1 by a percent; and not by `ops.softmax`,
        # which warns about a single expert.
        weights = tf.nn.softmax(ops.cast(self.logits(inputs), "float32"), axis=-1)
        return ops.cast(weights, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_tasks, self.num_experts)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tasks": self.num_tasks, "num_experts": self.num_experts}
