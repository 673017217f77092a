"""The towers between sharing layer and heads."""

from collections.abc import Sequence
from typing import Any

import keras

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.schema.checks import (
    check_axis,
    check_positive_int,
    check_positive_ints,
    check_rate,
    check_shape,
)


@keras.saving.register_keras_serializable(package="tfmtl")
class TowerBank(keras.layers.Layer):
    """Gives every task a private network over its own representation, as batched products.

    Shapes: B batch, T tasks, H and H' widths.

    Args:
        num_tasks: int. Number of tasks T.
        hidden_units: Sequence of ints. Width of each layer of a tower. Defaults to `(64,)`.
        activation: Keras activation or its name, after every layer. Defaults to `"relu"`.
        dropout: float in [0, 1). Share of outputs dropped after every layer in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, T, H)`.

    Returns:
        float `(B, T, H')` with H' = `hidden_units[-1]`.

    Raises:
        ValueError: If a size is not positive, `dropout` outside [0, 1), or at build if the inputs are not
            `(B, T, H)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.TowerBank(num_tasks=2, hidden_units=(4,))(keras.ops.ones((8, 2, 5))).shape
    TensorShape([8, 2, 4])
    """

    def __init__(
        self,
        num_tasks: int,
        hidden_units: Sequence[int] = (64,),
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
        check_shape(type(self).__name__, "inputs", input_shape, "B, T, H")
        advice = "Give every task its own representation."
        check_axis(type(self).__name__, "inputs", input_shape, 1, (self.num_tasks,), advice)
        self.towers = StackedMLP(
            self.num_tasks, self.hidden_units, self.activation, self.dropout, dtype=self.dtype_policy
        )
        self.towers.build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return self.towers(inputs)

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
