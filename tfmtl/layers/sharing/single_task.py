"""No sharing: the baseline every multi-task model has to beat."""

from collections.abc import Sequence
from typing import Any

import keras

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.layers.sharing._representations import check_representations
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.schema.checks import check_positive_int, check_positive_ints, check_rate


@keras.saving.register_keras_serializable(package="tfmtl")
class SingleTask(SharingLayer):
    """Gives every task a private network.

    Shapes: B batch, T tasks, S = 1 or T, H and H' widths.

    Args:
        num_tasks: int. Number of tasks T.
        hidden_units: Sequence of ints. Width of each layer of a network. Defaults to `(128, 64)`.
        activation: Keras activation or its name, after every layer. Defaults to `"relu"`.
        dropout: float in [0, 1). Share of outputs dropped after every layer in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`, or `(B, H)` for S = 1.

    Returns:
        float `(B, T, H')` with H' = `hidden_units[-1]`.

    Raises:
        ValueError: If a size is not positive, `dropout` outside [0, 1), or at build if the inputs are neither
            `(B, 1, H)` nor `(B, T, H)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.SingleTask(num_tasks=2, hidden_units=(4,))(keras.ops.ones((8, 5))).shape
    TensorShape([8, 2, 4])
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
        self.networks = StackedMLP(
            self.num_tasks, self.hidden_units, self.activation, self.dropout, dtype=self.dtype_policy
        )
        self.networks.build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return self.networks(inputs)

    def representation_shape(self, input_shape: Shape) -> Shape | None:
        """`None`: inside, tasks share nothing."""
        return None

    @property
    def input_layers(self) -> list[StackedDense]:
        """The layers that read the inputs, all of them where there is one representation (S = 1)."""
        return self.networks.input_layers

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that no other task reads."""
        return list(self.trainable_weights)

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
