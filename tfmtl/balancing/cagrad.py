"""CAGrad: the direction near the mean gradient that is best for the worst task."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmtl.balancing._gramian import count, positive_definite, unit_rows
from tfmtl.balancing._min_norm import min_norm_weights
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_rate

_CANDIDATES = 32
_SMALLEST_LENGTH = 1e-4  # by the shortest gradient
_SHORTEST = 1e-12  # by the longest
_TINY = 1e-150


@keras.saving.register_keras_serializable(package="tfmtl")
class CAGrad(GradientAggregator):
    """Improves the worst task as much as a ball around the mean gradient allows.

    With `g_0` the mean of the gradients, it maximizes `min_t g_t . d` over `|d - g_0| <= alpha |g_0|`. The answer is `d
    = g_0 + c g_a / |g_a|`, `c = alpha |g_0|`, `g_a = sum_t a_t g_t`, where `a` minimizes `g_a . g_0 + c |g_a|` over the
    simplex.

    For a given length `s = |g_a|` that is the point of least norm in the convex hull of `g_t + (s / c) g_0`. 32
    lengths between 0.0001 of the shortest gradient's norm and that of the longest are tried at once, then 32 between
    the two neighbors of the right one, and the answer is interpolated (it is piecewise linear in `s`): two rounds of
    an interior-point method of 6 to 14 iterations in gradients of norm 1, so that a long one does not hide how short
    ones lie. The lower end is 1e-16 of the longest at least. Where some combination of the gradients is zero, `|g_a|`
    counts as 0.0001 of its longest part: the step then is shorter than the ball allows.

    Scale: as in the authors' code the result is divided by `1 + alpha^2`. With `alpha=0` the mean of the gradients, a
    plain sum divided by the number of tasks.

    Args:
        alpha: float in [0, 1). Radius of the ball, as a share of the mean gradient's norm. Defaults to `0.4`.
        **kwargs: Passed to `keras.Operation` (`name`).

    Raises:
        TypeError: If `alpha` is not a number.
        ValueError: If `alpha` is outside [0, 1).

    Reference:
        Liu et al. 2021, https://arxiv.org/abs/2110.14048, eq. 4-5 and algorithm 1 (`alpha` is `c` there).
    """

    def __init__(self, alpha: float = 0.4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_rate(type(self).__name__, "alpha", alpha, "Use 0.4, or 0 for the mean gradient.")
        self.alpha = alpha

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}

    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        tasks = count(present)
        mean = tf.cast(present, tf.float64) / tasks
        if self.alpha == 0.0:
            return mean
        norms, cosines = unit_rows(gramian)
        norms = tf.math.divide_no_nan(norms, tf.reduce_max(norms))
        products = positive_definite(cosines, 0.0) * norms[:, None] * norms[None, :]
        to_mean = tf.linalg.matvec(products, mean)  # g_t . g_0
        square = tf.maximum(tf.tensordot(mean, to_mean, 1), 0.0)  # |g_0|^2
        radius = self.alpha * tf.sqrt(square)
        counted = tf.logical_and(present, norms > 0.0)
        shortest = tf.maximum(tf.reduce_min(tf.where(counted, norms, tf.ones_like(norms))), _SHORTEST)
        shares, length = _shares(products, to_mean, square, radius, present, shortest)
        # Parts that cancel would leave nothing but their rounding.
        length = tf.maximum(length, _SMALLEST_LENGTH * tf.reduce_max(shares * norms))
        return (mean + radius / tf.maximum(length, _TINY) * shares) / (1.0 + self.alpha**2)


def _shares(
    products: Tensor, to_mean: Tensor, square: Tensor, radius: Tensor, present: Tensor, shortest: Tensor
) -> tuple[Tensor, Tensor]:
    """The weights `a` and `|g_a|`, not below `_SMALLEST_LENGTH * shortest`; the largest gradient's norm is 1."""

    def candidates(lengths: Tensor) -> tuple[Tensor, Tensor]:
        """For each length its `a` and by how much `|g_a|` exceeds the length, which falls as lengths grow."""
        # Rows g_t + (s / c) g_0, times a factor that keeps them at norms of order 1.
        own = (radius / (radius + lengths))[:, None, None]
        shifted = own**2 * products + own * (1.0 - own) * (to_mean[:, None] + to_mean[None, :])
        shares = min_norm_weights(shifted + (1.0 - own) ** 2 * square, present)  # (32, T)
        squares = tf.reduce_sum(tf.matmul(shares, products) * shares, axis=-1)
        return shares, tf.sqrt(tf.maximum(squares, 0.0)) - lengths

    grid = np.linspace(0.0, 1.0, _CANDIDATES)
    lengths = (_SMALLEST_LENGTH * shortest) ** tf.constant(1.0 - grid, tf.float64)
    below = _last_positive(candidates(lengths)[1])
    low, high = lengths[below], lengths[below + 1]
    lengths = low * (high / low) ** tf.constant(grid, tf.float64)
    shares, excess = candidates(lengths)
    below = _last_positive(excess)
    over, under = tf.maximum(excess[below], 0.0), tf.maximum(-excess[below + 1], 0.0)
    part = tf.math.divide_no_nan(over, over + under)  # between the two, where the excess vanishes
    length = lengths[below] + part * (lengths[below + 1] - lengths[below])
    return shares[below] + part * (shares[below + 1] - shares[below]), length


def _last_positive(excess: Tensor) -> Tensor:
    """Index of the last candidate before the excess turns negative, but for the last one of all."""
    positive = tf.reduce_sum(tf.cast(excess > 0.0, tf.int32))
    return tf.clip_by_value(positive - 1, 0, _CANDIDATES - 2)
