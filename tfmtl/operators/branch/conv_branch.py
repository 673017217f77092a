"""A convolutional branch for functions on a grid, with the mask of a geometry."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.operators.branch._named_inputs import check_names
from tfmtl.schema.checks import check_keys, check_positive_int, check_positive_ints, error_text


@keras.saving.register_keras_serializable(package="tfmtl")
class ConvBranch(keras.layers.Layer):
    """Reads images with convolutions of stride 2, then dense layers.

    With a geometry the images are multiplied by its mask first, so that values outside of the domain change nothing,
    and the mask is one more channel.

    Shapes: B batch, n, m cells of the grid, H the last dense width.

    Args:
        inputs: Sequence of str. Names of the images that it reads, each `(B, n, m)`.
        geometry: str or None. Name of the mask, `(B, n, m)`, 1 inside and 0 outside. Defaults to `None`, no mask.
        filters: Sequence of ints. Channels of each convolution. Defaults to `(16, 32, 64)`.
        kernel_size: int. Side of the convolutions' windows. Defaults to `3`.
        hidden_units: Sequence of ints. Width of each dense layer. Defaults to `(128,)`.
        activation: Keras activation or its name, after every layer. Defaults to `"gelu"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict name -> float `(B, n, m)`.

    Returns:
        float `(B, H)`.

    Raises:
        ValueError: If a name or a width is missing or wrong, or images and mask are not of one grid.
        TypeError: If a width is not an int.

    Example:

    >>> ConvBranch(["log_k"], hidden_units=(8,))({"log_k": keras.ops.ones((3, 16, 16))}).shape
    TensorShape([3, 8])

    Reference:
        Kumar et al. 2025 (MT-DeepONet), https://arxiv.org/abs/2408.02198: a mask as a channel of the branch. Strides
        take the place of the pooling there.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        geometry: str | None = None,
        filters: Sequence[int] = (16, 32, 64),
        kernel_size: int = 3,
        hidden_units: Sequence[int] = (128,),
        activation: Any = "gelu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_names(owner, "inputs", inputs)
        check_positive_ints(owner, "filters", filters)
        check_positive_int(owner, "kernel_size", kernel_size)
        check_positive_ints(owner, "hidden_units", hidden_units)
        self.inputs = tuple(inputs)
        self.geometry = geometry
        self.filters = tuple(filters)
        self.kernel_size = kernel_size
        self.hidden_units = tuple(hidden_units)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Shapes) -> None:
        owner = type(self).__name__
        names = self.inputs if self.geometry is None else (*self.inputs, self.geometry)
        check_keys(owner, "inputs", input_shape, names)
        grid = tuple(input_shape[names[0]])[1:]
        for name in names:
            if len(grid) != 2 or tuple(input_shape[name])[1:] != grid:
                rule = f"be (B, n, m) as that of {names[0]!r}, {tuple(input_shape[names[0]])}"
                advice = "Sample images and mask on one grid."
                raise ValueError(error_text(owner, f"{name}.shape", rule, tuple(input_shape[name]), advice))
        self.convolutions = []
        shape: Shape = (None, *grid, len(names))
        for number, filters in enumerate(self.filters):
            layer = keras.layers.Conv2D(
                filters,
                self.kernel_size,
                2,
                "same",
                activation=self.activation,
                dtype=self.dtype_policy,
                name=f"convolution_{number}",
            )
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            self.convolutions.append(layer)
        self._flat = shape[1] * shape[2] * shape[3]
        self.layers = StackedMLP(1, self.hidden_units, self.activation, dtype=self.dtype_policy, name="layers")
        self.layers.build((None, 1, self._flat))

    def call(self, inputs: Tensors) -> Tensor:
        channels = [inputs[name] for name in self.inputs]
        if self.geometry is not None:
            mask = ops.cast(inputs[self.geometry], channels[0].dtype)
            channels = [*(channel * mask for channel in channels), mask]
        hidden = ops.stack(channels, axis=-1)  # (B, n, m, channels)
        for layer in self.convolutions:
            hidden = layer(hidden)
        return self.layers(ops.reshape(hidden, (-1, 1, self._flat)))[:, 0]  # (B, H)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        return (input_shape[self.inputs[0]][0], self.hidden_units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "inputs": list(self.inputs),
            "geometry": self.geometry,
            "filters": list(self.filters),
            "kernel_size": self.kernel_size,
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
        }
