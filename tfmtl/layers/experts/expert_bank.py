"""Experts that all tasks share."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.schema.checks import check_positive_int, check_positive_ints, check_rate, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class ExpertBank(keras.layers.Layer):
    """Evaluates E expert networks on every representation, as batched products.

    Shapes: B batch, S representations (1, or one per task), E experts, H and H' widths.

    Args:
        num_experts: int. Number of experts E.
        hidden_units: Sequence of ints. Width of each layer of an expert. Defaults to `(128, 64)`.
        activation: Keras activation or its name, after every layer. Defaults to `"relu"`.
        dropout: float in [0, 1). Share of outputs dropped after every layer in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`.

    Returns:
        float `(B, S, E, H')` with H' = `hidden_units[-1]`.

    Raises:
        ValueError: If a size is not positive, `dropout` outside [0, 1), or at build if the inputs are not `(B, S, H)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.ExpertBank(num_experts=3, hidden_units=(4, 2))(keras.ops.ones((8, 1, 5))).shape
    TensorShape([8, 1, 3, 2])
    """

    def __init__(
        self,
        num_experts: int,
        hidden_units: Sequence[int] = (128, 64),
        activation: Any = "relu",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_experts", num_experts)
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_rate(owner, "dropout", dropout)
        self.num_experts = num_experts
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "B, S, H")
        self.experts = StackedMLP(
            self.num_experts, self.hidden_units, self.activation, self.dropout, dtype=self.dtype_policy
        )
        self.experts.build((None, 1, input_shape[-1]))

    def call(self, inputs: Tensor) -> Tensor:
        _, streams, width = inputs.shape
        # A representation is to its experts what an example is: only the batch is longer.
        outputs = self.experts(ops.reshape(inputs, (-1, 1, width)))  # (B * S, E, H')
        return ops.reshape(outputs, (-1, streams, self.num_experts, self.hidden_units[-1]))

    @property
    def input_layers(self) -> list[StackedDense]:
        """The layers that read the inputs."""
        return self.experts.input_layers

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, streams, _ = input_shape
        return (batch, streams, self.num_experts, self.hidden_units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
        }
