"""Customized Gate Control: shared experts and experts of each task's own."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.layers.experts.expert_bank import ExpertBank
from tfmtl.layers.gates.softmax_gate import SoftmaxGate
from tfmtl.layers.sharing._mixture import mix_experts
from tfmtl.layers.sharing._representations import check_representations, public_representation, task_representations
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.schema.checks import (
    check_bool,
    check_count,
    check_positive_int,
    check_positive_ints,
    check_rate,
)


@keras.saving.register_keras_serializable(package="tfmtl")
class CGC(SharingLayer):
    """Mixes, for every task, its own experts and the shared ones: one extraction level of `PLE`.

    Task k's experts and its gate, `softmax(W_k x_k)`, read its representation `x_k`; no other task mixes its experts.
    The shared experts read what belongs to all tasks: the one representation there is (S = 1), or the last
    (S = T + 1). Where every task has a representation and nothing belongs to all (S = T), they are evaluated on each
    `x_k` for the mixture of task k. The shared stream, `use_shared_gate`, has a gate of its own over all experts of
    all tasks and the shared ones; where it is not given (S = T) it starts from the mean of the `x_k`.

    Shapes: B batch, T tasks, S = 1, T or T + 1, H and H' widths.

    Args:
        num_tasks: int. Number of tasks T.
        num_specific_experts: int, at least 0. Number of experts of each task's own. With 0 it is `MMoE`.
            Defaults to `1`.
        num_shared_experts: int. Number of experts that all tasks share. Defaults to `1`.
        hidden_units: Sequence of ints. Width of each layer of an expert. Defaults to `(128, 64)`.
        activation: Keras activation or its name, after every layer. Defaults to `"relu"`.
        dropout: float in [0, 1). Share of outputs dropped after every layer in training. Defaults to `0.0`.
        use_shared_gate: bool. Whether to return, after the tasks', a representation of what all share.
            Defaults to `False`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`, or `(B, H)` for S = 1.
        offset: float of `representation_shape`, or None. Added to what the shared experts put out, for a caller that
            differentiates with respect to it. Defaults to `None`.

    Returns:
        float `(B, T, H')` with H' = `hidden_units[-1]`, or `(B, T + 1, H')` with the shared stream.

    Raises:
        ValueError: If a size is not positive, `dropout` outside [0, 1), or at build if the inputs are none of
            `(B, 1, H)`, `(B, T, H)` and `(B, T + 1, H)`.
        TypeError: If a size is not an int or `use_shared_gate` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.CGC(num_tasks=2, hidden_units=(4,))(keras.ops.ones((8, 5))).shape
    TensorShape([8, 2, 4])

    Reference:
        Tang et al. 2020 (PLE), https://doi.org/10.1145/3383313.3412236, eq. 1-3 and, for the shared gate, 4-6. What
        the shared experts read where S = T is our reading: the paper's tasks start from one representation.
    """

    def __init__(
        self,
        num_tasks: int,
        num_specific_experts: int = 1,
        num_shared_experts: int = 1,
        hidden_units: Sequence[int] = (128, 64),
        activation: Any = "relu",
        dropout: float = 0.0,
        use_shared_gate: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_count(owner, "num_specific_experts", num_specific_experts)
        check_positive_int(owner, "num_shared_experts", num_shared_experts)
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_rate(owner, "dropout", dropout)
        check_bool(owner, "use_shared_gate", use_shared_gate)
        self.num_tasks = num_tasks
        self.num_specific_experts = num_specific_experts
        self.num_shared_experts = num_shared_experts
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.use_shared_gate = use_shared_gate

    def build(self, input_shape: Shape) -> None:
        check_representations(type(self).__name__, input_shape, self.num_tasks, public=True)
        batch, streams, width = input_shape
        network = (self.hidden_units, self.activation, self.dropout)
        policy = self.dtype_policy
        num_specific = self.num_tasks * self.num_specific_experts
        self.specific_experts = None
        if num_specific:
            self.specific_experts = StackedMLP(num_specific, *network, dtype=policy)
            self.specific_experts.build((batch, 1 if streams == 1 else num_specific, width))
        self.shared_experts = ExpertBank(self.num_shared_experts, *network, dtype=policy)
        self.shared_experts.build((batch, 1, width))
        seen = self.num_specific_experts + self.num_shared_experts
        self.task_gate = SoftmaxGate(self.num_tasks, seen, dtype=policy)
        self.task_gate.build((batch, min(streams, self.num_tasks), width))
        if self.use_shared_gate:
            self.shared_gate = SoftmaxGate(1, num_specific + self.num_shared_experts, dtype=policy)
            self.shared_gate.build((batch, 1, width))

    def call(self, inputs: Tensor, offset: Tensor | None = None) -> Tensor:
        own, common = task_representations(inputs, self.num_tasks), public_representation(inputs, self.num_tasks)
        specific = self._specific(own)  # (B, T, m, H') or None
        read = self._each_and(own, common) if 1 < inputs.shape[1] == self.num_tasks else common
        shared = self.shared_experts(read)  # (B, 1 or T or T + 1, m_s, H')
        if offset is not None:
            shared = shared + offset
        weights = self.task_gate(own)  # (B, T, m + m_s)
        outputs = mix_experts(weights[..., self.num_specific_experts :], shared[:, : self.num_tasks])
        if specific is not None:
            outputs = outputs + mix_experts(weights[..., : self.num_specific_experts], specific)
        if not self.use_shared_gate:
            return outputs
        experts = shared[:, -1]  # (B, m_s, H')
        if specific is not None:
            all_specific = ops.reshape(specific, (-1, self.num_tasks * specific.shape[2], specific.shape[3]))
            experts = ops.concatenate([all_specific, experts], axis=1)  # (B, T * m + m_s, H')
        return ops.concatenate([outputs, ops.matmul(self.shared_gate(common), experts)], axis=1)

    def _specific(self, own: Tensor) -> Tensor | None:
        """Returns what the tasks' experts make of the tasks' representations, `(B, T, m, H')`, if there are any."""
        if self.specific_experts is None:
            return None
        if own.shape[1] != 1:
            own = ops.repeat(own, self.num_specific_experts, axis=1)
        outputs = self.specific_experts(own)  # (B, T * m, H')
        return ops.reshape(outputs, (-1, self.num_tasks, self.num_specific_experts, self.hidden_units[-1]))

    def _each_and(self, own: Tensor, common: Tensor) -> Tensor:
        """Returns what the shared experts read where every task has a representation; the shared one is last."""
        return ops.concatenate([own, common], axis=1) if self.use_shared_gate else own

    def gate_weights(self, inputs: Tensor) -> list[Tensor]:
        """What every task gives its own experts and then the shared ones, float `(B, T, m + m_s)`, in one level."""
        return [self.task_gate(task_representations(inputs, self.num_tasks))]

    def representation_shape(self, input_shape: Shape) -> Shape | None:
        """The shape of what all tasks read last, `(B, S', m_s, H')`, if they start from one representation."""
        streams = input_shape[1]
        # What the tasks' gates read of it; a shared gate, which reads the rest, is of no task.
        read = 1 if streams in (1, self.num_tasks + 1) else None
        return None if read is None else (input_shape[0], read, self.num_shared_experts, self.hidden_units[-1])

    @property
    def input_layers(self) -> list[StackedDense]:
        """The layers that read the inputs, all of them where there is one representation (S = 1)."""
        return [layer for part in self._parts() for layer in part.input_layers]

    def _parts(self) -> list[Any]:
        parts = [self.specific_experts, self.shared_experts, self.task_gate]
        return [part for part in (*parts, self.shared_gate if self.use_shared_gate else None) if part is not None]

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that no other task reads."""
        return [
            *self.task_gate.trainable_weights,
            # Through the shared gate every task reads all experts.
            *([] if self.use_shared_gate or self.specific_experts is None else self.specific_experts.trainable_weights),
        ]

    @property
    def keeps_tasks_apart(self) -> bool:
        """Whether a task reads nothing of what another task's representation says."""
        return not self.use_shared_gate

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_tasks + self.use_shared_gate, self.hidden_units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_specific_experts": self.num_specific_experts,
            "num_shared_experts": self.num_shared_experts,
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "use_shared_gate": self.use_shared_gate,
        }
