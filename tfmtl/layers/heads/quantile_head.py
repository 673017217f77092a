"""The head of a task that predicts quantiles."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.heads._linear_output import build_output
from tfmtl.schema.checks import check_number, check_positive_number, error_text

_LEAST_GAP = 1e-3  # deviations between two quantiles at the start


@keras.saving.register_keras_serializable(package="tfmtl")
class QuantileHead(keras.layers.Layer):
    """Computes rising numbers from a task's representation: the lowest quantile, and the steps to the next ones.

    The steps are `softplus` of linear outputs, so quantiles never cross, whatever is learned. They are in standard
    deviations from the label's mean, and start at the quantiles of the training labels.

    Shapes: B batch, H width, Q quantiles.

    Args:
        starts: Sequence of Q rising floats. The quantiles of the training labels, in the label's unit.
        mean: float. Mean of the label in the training data, in its unit. Defaults to `0.0`.
        standard_deviation: float above 0. Standard deviation of the label, in its unit. Defaults to `1.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, H)`.

    Returns:
        float32 `(B, Q)`, rising, standardized, also under mixed precision.

    Raises:
        ValueError: If `starts` is empty or falls, a number is not finite, `standard_deviation` not positive, or at
            build if the inputs are not `(B, H)`.
        TypeError: If `starts` is no sequence, or one of the others is not a number.

    Example:

    >>> QuantileHead((1.0, 2.0, 4.0))(keras.ops.ones((4, 8))).shape
    TensorShape([4, 3])

    Reference:
        The steps are our reading of conditional quantile estimation, Lin et al. 2024, https://arxiv.org/abs/2407.12223.
    """

    def __init__(
        self, starts: Sequence[float], mean: float = 0.0, standard_deviation: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        rule, advice = "hold a rising number for each quantile", "Give the quantiles of the training labels."
        if isinstance(starts, str) or not isinstance(starts, Sequence):
            raise TypeError(error_text(owner, "starts", rule, starts, advice))
        for start in starts:
            check_number(owner, "starts", start)
        if not starts or list(starts) != sorted(starts):
            raise ValueError(error_text(owner, "starts", rule, starts, advice))
        check_number(owner, "mean", mean)
        check_positive_number(owner, "standard_deviation", standard_deviation)
        self.starts = tuple(starts)
        self.mean = mean
        self.standard_deviation = standard_deviation

    def build(self, input_shape: Shape) -> None:
        scaled = (np.asarray(self.starts, np.float64) - self.mean) / self.standard_deviation
        gaps = np.maximum(np.diff(scaled), _LEAST_GAP)
        start = np.concatenate([scaled[:1], np.log(np.expm1(gaps))]).astype("float32")
        self.output_layer = build_output(self, input_shape, len(self.starts), keras.initializers.Constant(start))

    def call(self, inputs: Tensor) -> Tensor:
        outputs = self.output_layer(inputs)
        return ops.cumsum(ops.concatenate([outputs[:, :1], ops.softplus(outputs[:, 1:])], axis=1), axis=1)

    def predictions(self, standardized: Tensor) -> Tensor:
        """Turns standardized values into the label's unit, elementwise."""
        return standardized * self.standard_deviation + self.mean

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], len(self.starts))

    def get_config(self) -> dict[str, Any]:
        own = {"starts": list(self.starts), "mean": self.mean, "standard_deviation": self.standard_deviation}
        return {**super().get_config(), **own}
