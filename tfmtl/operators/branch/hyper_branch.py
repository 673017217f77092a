"""A branch whose layers are set by a hypernetwork, for each equation."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.operators.branch._named_inputs import check_names
from tfmtl.schema.checks import check_keys, check_positive_int, check_positive_ints


@keras.saving.register_keras_serializable(package="tfmtl")
class HyperBranch(keras.layers.Layer):
    """Reads a function with a perceptron whose layers are scaled and shifted by what the coefficients say.

    Before its activation each layer is multiplied by `1 + W_s z` and `W_t z` is added, with
    `z = activation(W c + b)` of the coefficients c. `W_s` and `W_t` start with standard deviation 0.01, so that every
    equation starts near the plain perceptron.

    Shapes: B batch, H the last hidden width.

    Args:
        inputs: Sequence of str. Names of the vectors that the perceptron reads, each `(B, n)`.
        condition: str. Name of the coefficients, `(B, c)`.
        hidden_units: Sequence of ints. Width of each layer. Defaults to `(128, 128)`.
        condition_units: int. Width of z. Defaults to `32`.
        activation: Keras activation or its name, after every layer. Defaults to `"gelu"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict name -> float `(B, n)`.

    Returns:
        float `(B, H)`.

    Raises:
        ValueError: If a name or a width is missing or wrong.
        TypeError: If a width is not an int.

    Example:

    >>> import keras, tfmtl
    >>> branch = tfmtl.operators.HyperBranch(["initial"], condition="rate", hidden_units=(16,))
    >>> branch({"initial": keras.ops.ones((3, 64)), "rate": keras.ops.ones((3, 1))}).shape
    TensorShape([3, 16])

    Reference:
        Ha, Dai and Le 2017 (hypernetworks), https://arxiv.org/abs/1609.09106; scale and shift alone as in Perez et
        al. 2018 (FiLM), https://arxiv.org/abs/1709.07871, eq. 2.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        condition: str,
        hidden_units: Sequence[int] = (128, 128),
        condition_units: int = 32,
        activation: Any = "gelu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_names(owner, "inputs", inputs)
        check_positive_ints(owner, "hidden_units", hidden_units)
        check_positive_int(owner, "condition_units", condition_units)
        self.inputs = tuple(inputs)
        self.condition = condition
        self.hidden_units = tuple(hidden_units)
        self.condition_units = condition_units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Shapes) -> None:
        check_keys(type(self).__name__, "inputs", input_shape, (*self.inputs, self.condition))
        policy = self.dtype_policy
        self.hidden = StackedDense(1, self.condition_units, self.activation, dtype=policy, name="hidden")
        self.hidden.build((None, 1, input_shape[self.condition][-1]))
        self.dense_layers, self.condition_layers = [], []
        shape: Shape = (None, 1, sum(input_shape[name][-1] for name in self.inputs))
        small = keras.initializers.RandomNormal(stddev=0.01)
        for number, units in enumerate(self.hidden_units):
            dense = StackedDense(1, units, dtype=policy, name=f"dense_{number}")
            dense.build(shape)
            shape = dense.compute_output_shape(shape)
            # Two stacks: how the layer is scaled, and how it is shifted.
            conditions = StackedDense(
                2, units, use_bias=False, kernel_initializer=small, dtype=policy, name=f"condition_{number}"
            )
            conditions.build((None, 1, self.condition_units))
            self.dense_layers.append(dense)
            self.condition_layers.append(conditions)

    def call(self, inputs: Tensors) -> Tensor:
        known = self.hidden(inputs[self.condition][:, None])  # (B, 1, Z)
        hidden = ops.concatenate([inputs[name] for name in self.inputs], axis=-1)[:, None]
        for dense, conditions in zip(self.dense_layers, self.condition_layers, strict=True):
            said = conditions(known)  # (B, 2, units)
            hidden = self.activation(dense(hidden) * (1.0 + said[:, :1]) + said[:, 1:])
        return hidden[:, 0]  # (B, H)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        return (input_shape[self.condition][0], self.hidden_units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "inputs": list(self.inputs),
            "condition": self.condition,
            "hidden_units": list(self.hidden_units),
            "condition_units": self.condition_units,
            "activation": keras.activations.serialize(self.activation),
        }
