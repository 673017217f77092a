"""Multi-gate Mixture-of-Experts."""

from collections.abc import Sequence
from typing import Any

import keras

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.experts.expert_bank import ExpertBank
from tfmtl.layers.gates.softmax_gate import SoftmaxGate, check_gate_arguments
from tfmtl.layers.sharing._mixture import mix_experts
from tfmtl.layers.sharing._representations import check_representations
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.schema.checks import check_positive_int, check_positive_ints, check_rate


@keras.saving.register_keras_serializable(package="tfmtl")
class MMoE(SharingLayer):
    """Mixes shared experts by a gate of each task's own: `h_k = sum_i softmax(W_k x)_i f_i(x)`.

    Where every task has its own representation (S = T) the experts are evaluated on each of them, and a task's gate
    mixes the outputs for its own.

    Shapes: B batch, T tasks, S = 1 or T, E experts, H and H' widths.

    Args:
        num_tasks: int. Number of tasks T.
        num_experts: int. Number of experts E. With 1 it is `SharedNetwork`. Defaults to `8`.
        hidden_units: Sequence of ints. Width of each layer of an expert. Defaults to `(128, 64)`.
        activation: Keras activation or its name, after every layer. Defaults to `"relu"`.
        dropout: float in [0, 1). Share of outputs dropped after every layer in training. Defaults to `0.0`.
        top_k: int or None. How many experts an example of a task mixes; `None` for all. Each is evaluated all the
            same. Defaults to `None`.
        load_balance_weight: float, at least 0. Weight of the loss on unequal use of the experts, as in
            `SoftmaxGate`. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`, or `(B, H)` for S = 1.
        offset: float of `representation_shape`, or None. Added to what the experts put out, for a caller that
            differentiates with respect to it. Defaults to `None`.

    Returns:
        float `(B, T, H')` with H' = `hidden_units[-1]`.

    Raises:
        ValueError: If a size is not positive, `dropout` outside [0, 1), `top_k` above `num_experts`,
            `load_balance_weight` negative, or at build if the inputs are neither `(B, 1, H)` nor `(B, T, H)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.MMoE(num_tasks=2, num_experts=3, hidden_units=(4,))(keras.ops.ones((8, 5))).shape
    TensorShape([8, 2, 4])

    Reference:
        Ma et al. 2018 (MMoE), https://doi.org/10.1145/3219819.3220007.
    """

    def __init__(
        self,
        num_tasks: int,
        num_experts: int = 8,
        hidden_units: Sequence[int] = (128, 64),
        activation: Any = "relu",
        dropout: float = 0.0,
        top_k: int | None = None,
        load_balance_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_gate_arguments(owner, num_experts, top_k, load_balance_weight)
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_rate(owner, "dropout", dropout)
        self.num_tasks = num_tasks
        self.num_experts = num_experts
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.top_k = top_k
        self.load_balance_weight = load_balance_weight

    def build(self, input_shape: Shape) -> None:
        check_representations(type(self).__name__, input_shape, self.num_tasks)
        self.experts = ExpertBank(
            self.num_experts, self.hidden_units, self.activation, self.dropout, dtype=self.dtype_policy
        )
        self.experts.build(input_shape)
        self.gate = SoftmaxGate(
            self.num_tasks, self.num_experts, self.top_k, self.load_balance_weight, dtype=self.dtype_policy
        )
        self.gate.build(input_shape)

    def call(self, inputs: Tensor, offset: Tensor | None = None) -> Tensor:
        outputs = self.experts(inputs)  # (B, S, E, H')
        return mix_experts(self.gate(inputs), outputs if offset is None else outputs + offset)

    def gate_weights(self, inputs: Tensor) -> list[Tensor]:
        """What every task gives every expert, float `(B, T, E)`, level by level: here there is one."""
        return [self.gate(inputs)]

    def representation_shape(self, input_shape: Shape) -> Shape | None:
        """The shape of what all tasks read last, `(B, 1, E, H')`, if they start from one representation."""
        return self.experts.compute_output_shape(input_shape) if input_shape[1] == 1 else None

    @property
    def input_layers(self) -> list[StackedDense]:
        """The layers that read the inputs, all of them where there is one representation (S = 1)."""
        return [*self.experts.input_layers, *self.gate.input_layers]

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that no other task reads."""
        return list(self.gate.trainable_weights)

    @property
    def keeps_tasks_apart(self) -> bool:
        """Whether a task reads nothing of what another task's representation says."""
        return True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_tasks, self.hidden_units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_experts": self.num_experts,
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "top_k": self.top_k,
            "load_balance_weight": self.load_balance_weight,
        }
