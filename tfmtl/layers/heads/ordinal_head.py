"""The head of a task whose classes have an order."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.heads._class_shares import check_shares
from tfmtl.schema.checks import check_shape

_LEAST_GAP = 1e-4  # between two cuts, so that every class keeps a probability


@keras.saving.register_keras_serializable(package="tfmtl")
class OrdinalHead(keras.layers.Layer):
    """Computes one number from a task's representation and compares it with rising cuts.

    `P(y <= k) = sigmoid(cut_k - x w)`. A cut is the one below it plus `softplus` of a weight, so cumulative
    probabilities are ordered whatever is learned. The cuts start where the classes' shares in the training data put
    them.

    Shapes: B batch, H width, C classes.

    Args:
        shares: Sequence of C floats in (0, 1) that sum to 1. How often each class occurs in the training data, in the
            order of the classes.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, H)`.

    Returns:
        float32 `(B, C - 1)`, the rising logits of `P(y <= k)`, also under mixed precision.

    Raises:
        ValueError: If there are fewer than two shares, one lies outside (0, 1), they do not sum to 1, or at build if
            the inputs are not `(B, H)`.
        TypeError: If `shares` is not a sequence of numbers.

    Example:

    >>> OrdinalHead((0.2, 0.3, 0.5))(keras.ops.ones((4, 8))).shape
    TensorShape([4, 2])

    Reference:
        McCullagh 1980, "Regression models for ordinal data": the proportional-odds model.
    """

    def __init__(self, shares: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_shares(type(self).__name__, shares)
        self.shares = tuple(shares)

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "B, H")
        self.position = keras.layers.Dense(1, use_bias=False, dtype=self.variable_dtype)
        self.position.build(input_shape)
        below = np.cumsum(np.asarray(self.shares, np.float64))[:-1] / np.sum(self.shares)
        cuts = np.log(below) - np.log1p(-below)
        gaps = np.maximum(np.diff(cuts) - _LEAST_GAP, 1e-6)
        first, steps = cuts[:1].astype("float32"), np.log(np.expm1(gaps)).astype("float32")
        self.first_cut = self._weight("first_cut", first)
        self.steps = self._weight("steps", steps) if len(steps) else None

    def _weight(self, name: str, start: np.ndarray) -> keras.Variable:
        initializer = keras.initializers.Constant(start)
        # Without autocast, because logits rounded to bfloat16 have three significant digits.
        return self.add_weight(
            shape=start.shape, initializer=initializer, name=name, dtype=self.variable_dtype, autocast=False
        )

    def call(self, inputs: Tensor) -> Tensor:
        first = ops.convert_to_tensor(self.first_cut)
        cuts = first
        if self.steps is not None:
            gaps = ops.softplus(ops.convert_to_tensor(self.steps)) + _LEAST_GAP
            cuts = ops.concatenate([first, first + ops.cumsum(gaps)])
        return cuts - self.position(inputs)

    def predictions(self, cumulative: Tensor) -> Tensor:
        """Turns the logits of `P(y <= k)` into the classes' probabilities `(B, C)`, row by row."""
        below = ops.sigmoid(cumulative)
        edge = ops.zeros_like(below[:, :1])
        return ops.concatenate([below, edge + 1.0], axis=1) - ops.concatenate([edge, below], axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], len(self.shares) - 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shares": list(self.shares)}
