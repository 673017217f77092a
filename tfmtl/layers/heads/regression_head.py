"""The head of a regression task."""

from typing import Any

import keras

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.heads._linear_output import build_output
from tfmtl.schema.checks import check_number, check_positive_number


@keras.saving.register_keras_serializable(package="tfmtl")
class RegressionHead(keras.layers.Layer):
    """Computes one number from a task's representation, in standard deviations from the label's mean.

    Standardised outputs keep tasks with labels of different units comparable in one loss; `predictions` turns them
    into the label's unit.

    Shapes: B batch, H width.

    Args:
        mean: float. Mean of the label in the training data, in its unit. Defaults to `0.0`.
        standard_deviation: float above 0. Standard deviation of the label, in its unit. Defaults to `1.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, H)`.

    Returns:
        float32 `(B,)`, standardized, also under mixed precision.

    Raises:
        ValueError: If `mean` is not finite, `standard_deviation` not positive, or at build if the inputs are not
            `(B, H)`.
        TypeError: If either is not a number.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.RegressionHead(mean=3.5, standard_deviation=1.2)(keras.ops.ones((8, 4))).shape
    TensorShape([8])
    """

    def __init__(self, mean: float = 0.0, standard_deviation: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_number(owner, "mean", mean)
        check_positive_number(owner, "standard_deviation", standard_deviation)
        self.mean = mean
        self.standard_deviation = standard_deviation

    def build(self, input_shape: Shape) -> None:
        self.output_layer = build_output(self, input_shape, 1, keras.initializers.Zeros())

    def call(self, inputs: Tensor) -> Tensor:
        return self.output_layer(inputs)[:, 0]

    def predictions(self, standardized: Tensor) -> Tensor:
        """Turns standardized values into the label's unit, elementwise."""
        return standardized * self.standard_deviation + self.mean

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0],)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "standard_deviation": self.standard_deviation}
