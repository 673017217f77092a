"""Many small networks of the same shape, computed side by side."""

from collections.abc import Sequence
from typing import Any

import keras

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.schema.checks import check_positive_int, check_positive_ints, check_rate


@keras.saving.register_keras_serializable(package="tfmtl")
class StackedMLP(keras.layers.Layer):
    """Applies N multi-layer perceptrons at once: one per task, expert or tower.

    Every hidden layer is a `StackedDense` with the activation, followed by dropout.

    Shapes: B batch, N stacks, S = 1 or N, in and out widths.

    Args:
        num_stacks: int. Number of networks N.
        hidden_units: Sequence of ints. Width of each layer, at least one. Defaults to `(128, 64)`.
        activation: Keras activation or its name, after every layer. Defaults to `"relu"`.
        dropout: float in [0, 1). Share of outputs dropped after every layer in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, in)`: one input for all networks, or one for each.

    Returns:
        float `(B, N, hidden_units[-1])`.

    Raises:
        ValueError: If a size is not positive or `dropout` is outside [0, 1).
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.StackedMLP(num_stacks=3, hidden_units=(4, 2))(keras.ops.ones((8, 1, 5))).shape
    TensorShape([8, 3, 2])
    """

    def __init__(
        self,
        num_stacks: int,
        hidden_units: Sequence[int] = (128, 64),
        activation: Any = "relu",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_stacks", num_stacks)
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_rate(owner, "dropout", dropout)
        self.num_stacks = num_stacks
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout

    def build(self, input_shape: Shape) -> None:
        self.dense_layers: list[StackedDense] = []
        self.dropout_layers = []
        shape = tuple(input_shape)
        for units in self.hidden_units:
            name = f"dense_{len(self.dense_layers)}"
            dense = StackedDense(self.num_stacks, units, self.activation, dtype=self.dtype_policy, name=name)
            dense.build(shape)
            shape = dense.compute_output_shape(shape)
            self.dense_layers.append(dense)
            self.dropout_layers.append(keras.layers.Dropout(self.dropout, dtype=self.dtype_policy))
            self.dropout_layers[-1].build(shape)

    def call(self, inputs: Tensor) -> Tensor:
        hidden = inputs
        for dense, dropout in zip(self.dense_layers, self.dropout_layers, strict=True):
            hidden = dropout(dense(hidden))  # (B, N, units)
        return hidden

    @property
    def input_layers(self) -> list[StackedDense]:
        """The layers that read the inputs."""
        return self.dense_layers[:1]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_stacks, self.hidden_units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_stacks": self.num_stacks,
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
        }
