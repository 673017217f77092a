"""Standardize inputs inside the model, so that it always takes physical units."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_one_of

STATISTICS = ("entry", "field")
_CONSTANT = 1e-6  # a smaller spread, relative to the values, is rounding


@keras.saving.register_keras_serializable(package="tfmtl")
class Standardize(keras.layers.Layer):
    """Subtracts the mean of the training rows and divides by their standard deviation, once it is adapted.

    What was constant in training is only shifted: dividing by a tiny deviation would make a small change of it huge.
    Computed in float32; before `adapt` the layer is the identity.

    Shapes: B batch, ... the axes of one input.

    Args:
        statistics: str. `"entry"`, a mean and a deviation for each entry of the last axis, or `"field"`, one for all
            entries together. Defaults to `"entry"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, ...)`.

    Returns:
        float `(B, ...)` of the layer's compute type.

    Raises:
        ValueError: If `statistics` is unknown.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.operators.Standardize("entry")(keras.ops.ones((8, 3))).shape
    TensorShape([8, 3])
    """

    def __init__(self, statistics: str = "entry", **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        check_one_of(type(self).__name__, "statistics", statistics, STATISTICS)
        self.statistics = statistics

    def build(self, input_shape: Shape) -> None:
        shape = (input_shape[-1],) if self.statistics == "entry" else ()
        # Not cast to the compute type: a mean in bfloat16 is off by 0.4 % of itself.
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False, autocast=False)
        self.deviation = self.add_weight(
            name="deviation", shape=shape, initializer="ones", trainable=False, autocast=False
        )

    def adapt(self, values: npt.NDArray[Any], counted: npt.NDArray[np.bool_] | None = None) -> None:
        """Takes the statistics of the training rows.

        Args:
            values: `(N, ...)`.
            counted: bool, the shape of `values`, or None. The entries to take them over, such as those inside of a
                geometry; for `"field"` alone. Defaults to `None`, all.
        """
        exact = np.asarray(values, np.float64)
        if self.statistics == "entry":
            exact = exact.reshape(np.prod(exact.shape[:-1], dtype=int), exact.shape[-1])
        elif counted is not None:
            exact = exact[counted]
        axis = 0 if self.statistics == "entry" else None
        mean, deviation = exact.mean(axis), exact.std(axis)
        is_constant = deviation <= _CONSTANT * np.maximum(np.abs(mean), 1e-30)
        self.mean.assign(mean)
        self.deviation.assign(np.where(is_constant, 1.0, deviation))

    def call(self, inputs: Tensor) -> Tensor:
        exact = ops.cast(inputs, "float32")
        return ops.cast((exact - self.mean) / self.deviation, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "statistics": self.statistics}
