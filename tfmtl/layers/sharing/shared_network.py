"""Full sharing: one network for all tasks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.experts.expert_bank import ExpertBank
from tfmtl.layers.sharing._representations import check_representations
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.schema.checks import check_positive_int, check_positive_ints, check_rate


@keras.saving.register_keras_serializable(package="tfmtl")
class SharedNetwork(SharingLayer):
    """Sends every task through the same network.

    Where all tasks have one representation (S = 1) all get the same result; where each has its own (S = T) the one
    network reads each of them.

    Shapes: B batch, T tasks, S = 1 or T, H and H' widths.

    Args:
        num_tasks: int. Number of tasks T.
        hidden_units: Sequence of ints. Width of each layer of the network. Defaults to `(128, 64)`.
        activation: Keras activation or its name, after every layer. Defaults to `"relu"`.
        dropout: float in [0, 1). Share of outputs dropped after every layer in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`, or `(B, H)` for S = 1.
        offset: float of `representation_shape`, or None. Added to what the network put out, for a caller that
            differentiates with respect to it. Defaults to `None`.

    Returns:
        float `(B, T, H')` with H' = `hidden_units[-1]`.

    Raises:
        ValueError: If a size is not positive, `dropout` outside [0, 1), or at build if the inputs are neither
            `(B, 1, H)` nor `(B, T, H)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.SharedNetwork(num_tasks=2, hidden_units=(4,))(keras.ops.ones((8, 5))).shape
    TensorShape([8, 2, 4])

    Reference:
        Caruana 1997, Multitask Learning, https://doi.org/10.1023/A:1007379606734.
    """

    def __init__(
        self,
        num_tasks: int,
        hidden_units: Sequence[int] = (128, 64),
        activation: Any = "relu",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_rate(owner, "dropout", dropout)
        self.num_tasks = num_tasks
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout

    def build(self, input_shape: Shape) -> None:
        check_representations(type(self).__name__, input_shape, self.num_tasks)
        self.network = ExpertBank(1, self.hidden_units, self.activation, self.dropout, dtype=self.dtype_policy)
        self.network.build(input_shape)

    def call(self, inputs: Tensor, offset: Tensor | None = None) -> Tensor:
        outputs = self.network(inputs)[:, :, 0]  # (B, S, H')
        if offset is not None:
            outputs = outputs + offset
        return ops.repeat(outputs, self.num_tasks // inputs.shape[1], axis=1)

    def representation_shape(self, input_shape: Shape) -> Shape | None:
        """The shape of what all tasks read last, `(B, 1, H')`, if they start from one representation."""
        return (input_shape[0], 1, self.hidden_units[-1]) if input_shape[1] == 1 else None

    @property
    def input_layers(self) -> list[StackedDense]:
        """The layers that read the inputs, all of them where there is one representation (S = 1)."""
        return self.network.input_layers

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that no other task reads."""
        return []

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
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
        }
