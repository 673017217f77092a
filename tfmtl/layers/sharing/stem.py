"""Experts that every task reads and only their own task teaches."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.layers.gates.softmax_gate import SoftmaxGate
from tfmtl.layers.sharing._representations import (
    check_representations,
    public_representation,
    task_representations,
)
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.schema.checks import check_positive_int, check_positive_ints, check_rate


@keras.saving.register_keras_serializable(package="tfmtl")
class STEM(SharingLayer):
    """Specific experts of each task and shared ones; a task's gate reads all, its gradient reaches its own and these.

    With x_k a task's representation and x that of all, task k's specific experts read x_k, the shared ones x, and the
    gate `softmax(W_k (x_k + x))` weighs all `T m + n` of them. Experts of other tasks enter behind a stop-gradient: the
    task uses what they know and changes neither them nor what is below them. The gate learns from all. There is one
    layer: in a second one the public representation would carry a task's gradient into the experts of another.

    Shapes: B batch, T tasks, m specific experts of a task, n shared experts, H, H' widths, S = 1, T or T + 1.

    Args:
        num_tasks: int. Number of tasks T.
        num_specific_experts: int. Experts m of each task. Defaults to `1`.
        num_shared_experts: int. Experts n of all tasks. Defaults to `1`.
        hidden_units: Sequence of ints. Widths of each expert's layers, the last one H'. Defaults to `(128, 64)`.
        activation: Keras activation or its name. Defaults to `"relu"`.
        dropout: float in [0, 1). Dropout after each layer. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`: one representation for all tasks, one for each, or one for each and, last, one of
            all, such as `STEMBottom` puts out.

    Returns:
        float `(B, T, H')`.

    Raises:
        ValueError: If a size is not positive, `dropout` outside [0, 1), or at build if the inputs have another shape.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.STEM(num_tasks=2, hidden_units=(4,))(keras.ops.ones((8, 3, 6))).shape
    TensorShape([8, 2, 4])

    Reference:
        Su et al. 2024 (STEM), https://arxiv.org/abs/2308.13537, section 4.2, with a linear gate in place of a network.
    """

    def __init__(
        self,
        num_tasks: int,
        num_specific_experts: int = 1,
        num_shared_experts: int = 1,
        hidden_units: Sequence[int] = (128, 64),
        activation: Any = "relu",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_positive_int(owner, "num_specific_experts", num_specific_experts)
        check_positive_int(owner, "num_shared_experts", num_shared_experts)
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_rate(owner, "dropout", dropout)
        self.num_tasks = num_tasks
        self.num_specific_experts = num_specific_experts
        self.num_shared_experts = num_shared_experts
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout

    def build(self, input_shape: Shape) -> None:
        check_representations(type(self).__name__, input_shape, self.num_tasks, public=True)
        batch, streams, width = input_shape
        count = self.num_tasks * self.num_specific_experts
        network = {"activation": self.activation, "dropout": self.dropout, "dtype": self.dtype_policy}
        self.specific_experts = StackedMLP(count, self.hidden_units, **network)
        self.specific_experts.build((batch, 1 if streams == 1 else count, width))
        self.shared_experts = StackedMLP(self.num_shared_experts, self.hidden_units, **network)
        self.shared_experts.build((batch, 1, width))
        self.gate = SoftmaxGate(self.num_tasks, count + self.num_shared_experts, dtype=self.dtype_policy)
        self.gate.build((batch, min(streams, self.num_tasks), width))

    def call(self, inputs: Tensor) -> Tensor:
        own = task_representations(inputs, self.num_tasks)  # (B, 1 or T, H)
        many = own if own.shape[1] == 1 else ops.repeat(own, self.num_specific_experts, axis=1)
        specific = self.specific_experts(many)  # (B, T m, H')
        shared = self.shared_experts(public_representation(inputs, self.num_tasks))  # (B, n, H')
        weights = self._weights(inputs)
        count = specific.shape[1]
        is_own = np.repeat(np.eye(self.num_tasks, dtype="float32"), self.num_specific_experts, axis=1)  # (T, T m)
        is_own = ops.cast(is_own, weights.dtype)
        mine, others = weights[:, :, :count] * is_own, weights[:, :, :count] * (1.0 - is_own)
        result = ops.matmul(mine, specific) + ops.matmul(others, ops.stop_gradient(specific))
        return result + ops.matmul(weights[:, :, count:], shared)

    def _weights(self, inputs: Tensor) -> Tensor:
        """`(B, T, T m + n)`."""
        own = task_representations(inputs, self.num_tasks)
        return self.gate(own + public_representation(inputs, self.num_tasks))

    def gate_weights(self, inputs: Tensor) -> list[Tensor]:
        """What every task gives every expert, float `(B, T, T m + n)`: its own first, then others', then shared ones.

        There is one level.
        """
        size, count = self.num_specific_experts, self.num_tasks * self.num_specific_experts
        order = [
            [(task * size + place) % count for place in range(count)]
            + list(range(count, count + self.num_shared_experts))
            for task in range(self.num_tasks)
        ]
        weights = self._weights(inputs)
        return [
            ops.stack([ops.take(weights[:, task], np.array(row), axis=-1) for task, row in enumerate(order)], axis=1)
        ]

    def representation_shape(self, input_shape: Shape) -> Shape | None:
        """`None`: tasks meet in the inputs, where each also reads what it does not teach."""
        return None

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that no other task teaches."""
        return [*self.specific_experts.trainable_weights, *self.gate.trainable_weights]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_tasks, self.hidden_units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_specific_experts": self.num_specific_experts,
            "num_shared_experts": self.num_shared_experts,
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
        }
