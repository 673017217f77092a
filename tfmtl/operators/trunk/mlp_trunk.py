"""A trunk with learned functions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.operators.standardize import Standardize
from tfmtl.schema.checks import check_positive_int, check_positive_ints

if TYPE_CHECKING:
    from tfmtl.operators.operator_data import OperatorData


@keras.saving.register_keras_serializable(package="tfmtl")
class MLPTrunk(keras.layers.Layer):
    """Maps points to the values of `latent_dim` functions there, with a multi-layer perceptron.

    Coordinates are standardized over the training points, in float32.

    Shapes: R points of d coordinates, p functions.

    Args:
        latent_dim: int. Number of functions p. Defaults to `100`.
        hidden_units: Sequence of ints. Width of each hidden layer. Defaults to `(128, 128, 128)`.
        activation: Keras activation or its name, after every hidden layer. Defaults to `"gelu"`.
        output_activation: Keras activation or its name, after the last layer, as in DeepXDE, or `None`. Defaults to
            `None`: the functions are linear in what the last hidden layer gives.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(R, d)`.

    Returns:
        float `(R, p)`.

    Raises:
        ValueError: If a width is not positive.
        TypeError: If a width is not an int.

    Example:

    >>> MLPTrunk(10, (16,))(keras.ops.ones((5, 2))).shape
    TensorShape([5, 10])

    Reference:
        Lu et al. 2021 (DeepONet), https://arxiv.org/abs/1910.03193, the trunk net.
    """

    def __init__(
        self,
        latent_dim: int = 100,
        hidden_units: Sequence[int] = (128, 128, 128),
        activation: Any = "gelu",
        output_activation: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})  # coordinates in bfloat16 would fall together
        check_positive_int(type(self).__name__, "latent_dim", latent_dim)
        check_positive_ints(type(self).__name__, "hidden_units", hidden_units)
        self.latent_dim = latent_dim
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)
        self.output_activation = keras.activations.get(output_activation)

    def build(self, input_shape: Shape) -> None:
        self._build_on(input_shape[-1], input_shape[-1])

    def _build_on(self, coordinates: int, features: int) -> None:
        policy = self.dtype_policy
        self.standardize = Standardize(dtype=policy, name="standardize")
        self.standardize.build((None, coordinates))
        self.layers = StackedMLP(1, self.hidden_units, self.activation, dtype=policy, name="layers")
        self.layers.build((None, 1, features))
        self.output_layer = StackedDense(1, self.latent_dim, dtype=policy, name="output")
        self.output_layer.build((None, 1, self.hidden_units[-1]))

    def adapt(self, data: "OperatorData") -> None:
        """Takes the statistics of the training points."""
        self.standardize.adapt(data.points)

    def call(self, inputs: Tensor) -> Tensor:
        return self._functions(self.standardize(inputs))

    def _functions(self, features: Tensor) -> Tensor:
        return self.output_activation(self.output_layer(self.layers(features[:, None]))[:, 0])  # (R, p)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.latent_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "output_activation": keras.activations.serialize(self.output_activation),
        }
