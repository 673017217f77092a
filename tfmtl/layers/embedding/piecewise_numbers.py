"""Vectors of numbers that follow any curve: piecewise linear between knots that follow the training rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmtl.core.initializers import small_uniform
from tfmtl.core.spread_knots import spread_knots
from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_positive_int, check_shape

_SMALLEST_NORMAL = 2.0**-126


@keras.saving.register_keras_serializable(package="tfmtl")
class PiecewiseNumbers(keras.layers.Layer):
    """Gives every number a vector that is a piecewise linear function of it.

    Number `x` is encoded as how far it has come in each of K bins, `e_k = (x - t_k) / (t_{k+1} - t_k)` clipped to
    [0, 1], and its vector is `e V` with learned V of its own: the bins below x count whole, the one that x lies in by
    its share, so that close numbers are alike and a bin learns from all rows above it. The knots `t_0 .. t_K` are
    weights that are not trained; `adapt` spreads them over the rows. A bin of no width is a step: 0 below its knot, 1
    above it, and 1/2 at it.

    Shapes: B batch, n numbers, K bins, D width.

    Args:
        dim: int. D.
        num_bins: int. K. Defaults to `16`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, n)`, finite.

    Returns:
        float `(B, n, D)`.

    Raises:
        ValueError: If a size is not positive, or at build if the inputs are not `(B, n)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.PiecewiseNumbers(dim=4)(keras.ops.ones((8, 3))).shape
    TensorShape([8, 3, 4])

    Reference:
        Gorishniy et al., NeurIPS 2022, https://arxiv.org/abs/2203.05556, section 3.2, equation 1, with bins of the
        quantiles (3.2.1) and a linear layer behind. Ours: the ends are clipped too, and a frequent value takes one knot
        only, where quantiles would put many.
    """

    def __init__(self, dim: int, num_bins: int = 16, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "dim", dim)
        check_positive_int(owner, "num_bins", num_bins)
        self.dim = dim
        self.num_bins = num_bins

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "B, n")
        numbers = input_shape[1]
        self.knots = self.add_weight(
            name="knots",
            shape=(numbers, self.num_bins + 1),
            initializer=_evenly,
            trainable=False,
            autocast=False,
        )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(numbers, self.num_bins, self.dim),
            initializer=small_uniform(),
        )
        self.built = True

    def adapt(self, rows: np.ndarray) -> None:
        """Puts knots at frequent values and, between those, at quantiles of the rows (`spread_knots`).

        Args:
            rows: float `(N, n)`, N at least 1.
        """
        self.knots.assign(np.stack([spread_knots(column, self.num_bins) for column in rows.T]))

    def call(self, inputs: Tensor) -> Tensor:
        return self.some(inputs, range(inputs.shape[1]))

    def some(self, values: Tensor, places: Sequence[int]) -> Tensor:
        """The vectors of the numbers at these places, `(B, m)` -> `(B, m, D)`."""
        return tf.einsum("bmk,mkd->bmd", self.encode_some(values, places), rows_among(self.kernel, places))

    def encode_some(self, values: Tensor, places: Sequence[int]) -> Tensor:
        """How far the numbers at these places have come in each bin, `(B, m)` -> `(B, m, K)`."""
        return self.encode(values, rows_among(self.knots, places))

    def one(self, place: int, values: Tensor) -> Tensor:
        """The vectors of one of the numbers, `(B, L)` -> `(B, L, D)`, such as of events."""
        encoded = self.encode(values, self.knots[place])
        return tf.einsum("blk,kd->bld", encoded, tf.convert_to_tensor(self.kernel)[place])

    def encode(self, values: Tensor, knots: Tensor) -> Tensor:
        """How far values have come in each bin, `(B, n)` and `(n, K + 1)` or `(K + 1,)` -> `(B, n, K)`."""
        return Bins.between(knots).encode(values, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:2], self.dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dim": self.dim,
            "num_bins": self.num_bins,
        }


@dataclass(frozen=True)
class Bins:
    """Bins of numbers, `(n, K)` or `(K,)` each: where they begin, their slopes, and what they have there."""

    low: Tensor
    slope: Tensor
    start: Tensor

    @classmethod
    def between(cls, knots: Tensor) -> "Bins":
        """The bins between knots, `(n, K + 1)` or `(K + 1,)`."""
        knots = tf.convert_to_tensor(knots)
        low, width = knots[..., :-1], knots[..., 1:] - knots[..., :-1]
        # A step is the steepest slope there is, so that few operations read all values of a batch.
        is_step = width < _SMALLEST_NORMAL
        slope = tf.where(is_step, tf.float32.max, 1.0 / tf.where(is_step, 1.0, width))
        return cls(low, slope, tf.where(is_step, 0.5, 0.0))

    def among(self, places: Sequence[int]) -> "Bins":
        """Those of the numbers at these places."""
        return Bins(*(rows_among(each, places) for each in (self.low, self.slope, self.start)))

    def encode(self, values: Tensor, dtype: str) -> Tensor:
        """How far values have come in each bin, `(B, n)` -> `(B, n, K)`."""
        x = tf.cast(values, tf.float32)[..., tf.newaxis]
        return tf.cast(tf.clip_by_value((x - self.low) * self.slope + self.start, 0.0, 1.0), dtype)


def _evenly(shape: Shape, dtype: Any = None) -> Tensor:
    """Knots before they are adapted: evenly from -3 to 3."""
    return tf.cast(tf.tile(tf.linspace(-3.0, 3.0, shape[1])[tf.newaxis], (shape[0], 1)), dtype or "float32")


def rows_among(weights: Tensor, places: Sequence[int]) -> Tensor:
    """The weights' rows at these places, in order; no copy where they lie together."""
    weights = tf.convert_to_tensor(weights)
    first, last = places[0], places[-1] + 1
    if last - first != len(places):
        return tf.gather(weights, list(places))
    return weights if len(places) == weights.shape[0] else weights[first:last]
