"""The head of a zero-inflated task, whose label is often 0 and otherwise an amount."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.heads._linear_output import build_output
from tfmtl.schema.checks import check_number, check_positive_number, check_probability

_MOST_LOG_DEVIATION = math.log(5.0)  # the mean of an amount grows with the exponential of its square
_LEAST_LOG_DEVIATION = math.log(1e-3)
_MOST_LOG_MEAN = 80.0  # e^80 is still finite in float32


@keras.saving.register_keras_serializable(package="tfmtl")
class ZeroInflatedHead(keras.layers.Layer):
    """Computes three numbers from a task's representation: the logit of an amount, mean and spread of its logarithm.

    It starts at what the training labels say: the share above 0, and mean and deviation of the logarithms there.

    Shapes: B batch, H width.

    Args:
        share: float in (0, 1). Share of labels above 0. Defaults to `0.5`.
        log_mean: float. Mean of the logarithms of those. Defaults to `0.0`.
        log_deviation: float above 0. Their standard deviation. Defaults to `1.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, H)`.

    Returns:
        float32 `(B, 3)`: the logit of an amount, mean and logarithm of the deviation of the amount's logarithm; also
        under mixed precision. The deviation lies between 0.001 and 5.

    Raises:
        ValueError: If `share` is not strictly between 0 and 1, `log_mean` not finite, `log_deviation` not positive, or
            at build if the inputs are not `(B, H)`.
        TypeError: If one is not a number.

    Example:

    >>> ZeroInflatedHead(0.2)(keras.ops.ones((4, 8))).shape
    TensorShape([4, 3])

    Reference:
        Wang et al. 2019, https://arxiv.org/abs/1912.07753; the bound on the deviation is ours.
    """

    def __init__(self, share: float = 0.5, log_mean: float = 0.0, log_deviation: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_probability(owner, "share", share, "Use the share of labels above 0.")
        check_number(owner, "log_mean", log_mean)
        check_positive_number(owner, "log_deviation", log_deviation)
        self.share = share
        self.log_mean = log_mean
        self.log_deviation = log_deviation

    def build(self, input_shape: Shape) -> None:
        start = [math.log(self.share / (1.0 - self.share)), self.log_mean, math.log(self.log_deviation)]
        initializer = keras.initializers.Constant(np.asarray(start, "float32"))
        self.output_layer = build_output(self, input_shape, 3, initializer)

    def call(self, inputs: Tensor) -> Tensor:
        outputs = self.output_layer(inputs)
        bounded = ops.clip(outputs[:, 2:], _LEAST_LOG_DEVIATION, _MOST_LOG_DEVIATION)
        return ops.concatenate([outputs[:, :2], bounded], axis=1)

    def probability(self, raw: Tensor) -> Tensor:
        """The probability of an amount above 0, `(B,)`."""
        return ops.sigmoid(raw[:, 0])

    def amount(self, raw: Tensor) -> Tensor:
        """The mean of the amount where there is one, `(B,)`; at most e^80."""
        return ops.exp(ops.minimum(raw[:, 1] + 0.5 * ops.exp(2.0 * raw[:, 2]), _MOST_LOG_MEAN))

    def predictions(self, raw: Tensor) -> Tensor:
        """The mean of the label, `(B,)`: probability times amount."""
        return self.probability(raw) * self.amount(raw)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], 3)

    def get_config(self) -> dict[str, Any]:
        own = {"share": self.share, "log_mean": self.log_mean, "log_deviation": self.log_deviation}
        return {**super().get_config(), **own}
