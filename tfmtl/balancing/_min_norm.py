"""Find the point of smallest norm in the convex hull of gradients."""

import tensorflow as tf

from tfmtl.balancing._quadratic_program import nonnegative_minimum
from tfmtl.core.types import Tensor

_ZERO = 1e-150
_RIDGE = 1e-10


def min_norm_weights(gramian: Tensor, present: Tensor) -> Tensor:
    """Weights on the simplex whose combination of the rows has the least norm, for K sets of rows at once.

    With `G` the Gramian, the minimizer of `x' (G + m m') x / 2 - m' x` over `x >= 0`, divided by its sum, solves
    `min w' G w` over the simplex for `m = 1` (the rows get one more coordinate, 1, and approach its unit vector), a
    problem without an equality. It is solved for rows of norm 1, where `m_i` is the inverse of row i's norm, so that
    scales do not matter. A row of norm 0 takes all the weight.

    Args:
        gramian: float64 `(K, T, T)`, positive semidefinite.
        present: bool `(T,)`. The other rows get the weight 0.

    Returns:
        float64 `(K, T)`, each row non-negative with the sum 1. The squared norm exceeds the least by about 1e-10 of
        the largest row's at most.
    """
    norms = tf.maximum(tf.sqrt(tf.maximum(tf.linalg.diag_part(gramian), 0.0)), _ZERO)  # (K, T)
    smallest = tf.reduce_min(tf.where(present, norms, tf.constant(float("inf"), tf.float64)), axis=-1, keepdims=True)
    smallest = tf.where(tf.math.is_finite(smallest), smallest, tf.ones_like(smallest))
    inverse = tf.where(present, smallest / norms, tf.zeros_like(norms))
    cosines = tf.clip_by_value(gramian / norms[..., :, None] / norms[..., None, :], -1.0, 1.0)
    both = tf.logical_and(present[:, None], present[None, :])
    cosines = tf.where(both, cosines, tf.zeros_like(cosines))
    cosines = tf.linalg.set_diag(cosines, tf.ones_like(norms) * (1.0 + _RIDGE))
    # A task that is not there is pushed to 0, away from the degenerate case that both factors of a product vanish.
    linear = tf.where(present, inverse, -tf.ones_like(inverse))
    solution = nonnegative_minimum(cosines + inverse[..., :, None] * inverse[..., None, :], linear)
    weights = solution * inverse
    return weights / tf.maximum(tf.reduce_sum(weights, axis=-1, keepdims=True), _ZERO)
