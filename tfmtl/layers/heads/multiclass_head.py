"""The head of a task with several classes."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.heads._class_shares import check_shares
from tfmtl.layers.heads._linear_output import build_output


@keras.saving.register_keras_serializable(package="tfmtl")
class MulticlassHead(keras.layers.Layer):
    """Computes one logit per class from a task's representation.

    The biases start at the logarithms of the classes' shares, so that the first answer is what a constant would say.

    Shapes: B batch, H width, C classes.

    Args:
        shares: Sequence of C floats in (0, 1) that sum to 1. How often each class occurs in the training data.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, H)`.

    Returns:
        float32 `(B, C)`, logits, also under mixed precision.

    Raises:
        ValueError: If there are fewer than two shares, one lies outside (0, 1), they do not sum to 1, or at build if
            the inputs are not `(B, H)`.
        TypeError: If `shares` is not a sequence of numbers.

    Example:

    >>> MulticlassHead((0.2, 0.3, 0.5))(keras.ops.ones((4, 8))).shape
    TensorShape([4, 3])
    """

    def __init__(self, shares: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_shares(type(self).__name__, shares)
        self.shares = tuple(shares)

    def build(self, input_shape: Shape) -> None:
        start = keras.initializers.Constant(np.log(self.shares).astype("float32"))
        self.logits = build_output(self, input_shape, len(self.shares), start)

    def call(self, inputs: Tensor) -> Tensor:
        return self.logits(inputs)

    def predictions(self, logits: Tensor) -> Tensor:
        """Turns logits into the classes' probabilities, row by row."""
        return ops.softmax(logits, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], len(self.shares))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shares": list(self.shares)}
