"""A branch for vectors."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.operators.branch._named_inputs import check_names
from tfmtl.schema.checks import check_keys, check_positive_ints


@keras.saving.register_keras_serializable(package="tfmtl")
class MLPBranch(keras.layers.Layer):
    """Reads named vectors, side by side, with a multi-layer perceptron.

    Shapes: B batch, H the last hidden width.

    Args:
        inputs: Sequence of str. Names of the inputs that it reads, in this order.
        hidden_units: Sequence of ints. Width of each layer. Defaults to `(128, 128)`.
        activation: Keras activation or its name, after every layer. Defaults to `"gelu"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict name -> float `(B, ...)`; each is flattened.

    Returns:
        float `(B, H)`.

    Raises:
        ValueError: If a name or a width is missing or wrong.
        TypeError: If a width is not an int.

    Example:

    >>> MLPBranch(["initial"], (16,))({"initial": keras.ops.ones((3, 64))}).shape
    TensorShape([3, 16])

    Reference:
        Lu et al. 2021 (DeepONet), https://arxiv.org/abs/1910.03193, the branch net.
    """

    def __init__(
        self, inputs: Sequence[str], hidden_units: Sequence[int] = (128, 128), activation: Any = "gelu", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_names(owner, "inputs", inputs)
        check_positive_ints(owner, "hidden_units", hidden_units)
        self.inputs = tuple(inputs)
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Shapes) -> None:
        check_keys(type(self).__name__, "inputs", input_shape, self.inputs)
        width = sum(_size(input_shape[name]) for name in self.inputs)
        self.layers = StackedMLP(1, self.hidden_units, self.activation, dtype=self.dtype_policy, name="layers")
        self.layers.build((None, 1, width))

    def call(self, inputs: Tensors) -> Tensor:
        vectors = [ops.reshape(inputs[name], (-1, _size(inputs[name].shape))) for name in self.inputs]
        return self.layers(ops.concatenate(vectors, axis=-1)[:, None])[:, 0]  # (B, H)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        return (input_shape[self.inputs[0]][0], self.hidden_units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "inputs": list(self.inputs),
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
        }


def _size(shape: Shape) -> int:
    size = 1
    for length in shape[1:]:
        size *= int(length)
    return size
