"""A network that knows how the solution scales with a coefficient."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor, Tensors
from tfmtl.operators.operator_data import OperatorData
from tfmtl.schema.checks import check_one_of, error_text


@keras.saving.register_keras_serializable(package="tfmtl")
class InverseScale:
    """`u(c k) = u(k) / c`, exactly: the solution is inversely proportional to the size of a coefficient field k.

    So it is for `-div(k grad u) = f`. The network reads `log k - m`, with m the mean of log k over the domain, and its
    answer is multiplied by `exp(-m)`. It then has to learn the shape of k alone, and is right for sizes of k that
    training did not have.

    Shapes: B batch, ... the axes of the field.

    Args:
        input: str. Name of the input that holds log k, `(B, ...)`.
        geometry: str or None. Name of the input that holds the domain, 1 inside and 0 outside, of the same shape.
            Defaults to `None`: the mean is taken over the whole field.

    Example:

    >>> scale = InverseScale("log_k")
    >>> shapes, factor = scale.split({"log_k": keras.ops.ones((2, 4, 4))})
    >>> float(shapes["log_k"][0, 0, 0]), round(float(factor[0, 0]), 4)
    (0.0, 0.3679)
    """

    def __init__(self, input: str, geometry: str | None = None) -> None:
        self.input = input
        self.geometry = geometry

    def check(self, owner: str, shapes: Mapping[str, Shape]) -> None:
        """Raises unless a network has the inputs, and both are of one shape.

        Args:
            owner: str. The network, for errors.
            shapes: name of an input -> its shape without the batch.
        """
        check_one_of(owner, "scale.input", self.input, list(shapes))
        if self.geometry is None:
            return
        check_one_of(owner, "scale.geometry", self.geometry, list(shapes))
        received = shapes[self.input], shapes[self.geometry]
        if received[0] != received[1]:
            advice = "Give log k and the domain on one grid."
            raise ValueError(error_text(owner, "scale.geometry", "have the field's shape", received, advice))

    def split(self, inputs: Tensors) -> tuple[Tensors, Tensor]:
        """The inputs without the size of the coefficient, and the factor of the answer, float32 `(B, 1)`."""
        field = ops.cast(inputs[self.input], "float32")
        axes = tuple(range(1, len(field.shape)))
        if self.geometry is None:
            mean = ops.mean(field, axis=axes, keepdims=True)
            inside: Tensor = 1.0
        else:
            inside = ops.cast(inputs[self.geometry], "float32")
            mean = ops.sum(field * inside, axis=axes, keepdims=True) / ops.sum(inside, axis=axes, keepdims=True)
        return {**inputs, self.input: (field - mean) * inside}, ops.exp(-ops.reshape(mean, (-1, 1)))

    def reduced(self, data: OperatorData) -> OperatorData:
        """The data as the network sees them: inputs and targets without the size of the coefficient."""
        inputs, factor = self.split(data.inputs)
        scale = np.asarray(factor).reshape(-1, *[1] * (data.targets.ndim - 1))
        arrays: Mapping[str, Any] = {name: np.asarray(values) for name, values in inputs.items()}
        return replace(data, inputs=arrays, targets=data.targets / scale)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"input": self.input, "geometry": self.geometry}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InverseScale":
        """Makes the scale of a config."""
        return cls(**config)
