"""IMTL-G: the step with equal projections onto all unit gradients."""

import keras
import tensorflow as tf

from tfmtl.balancing._gramian import positive_definite, unit_rows
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.core.types import Tensor

_RIDGE = 1e-6
_SMALLEST_SUM = 0.01


@keras.saving.register_keras_serializable(package="tfmtl")
class IMTLG(GradientAggregator):
    """Finds weights of sum 1 with which the step projects equally on every unit gradient.

    With `u_t = g_t / |g_t|` and `C` their Gramian, `w_t = b_t / |g_t|`, `C b = 1`, then scaled to `sum_t w_t = 1`.
    Weights may be negative. A task whose gradient is zero gets the weight 0.

    Eigenvalues of `C` below 1e-6 count as 1e-6, which gives a solution for parallel gradients, and a step of length
    near 0 for opposite ones. Where the weights' sum is below 0.01 of their sizes' (or negative: the solution with sum 1
    would then raise every loss), they are divided by 0.01 of that instead of by the sum.

    Scale: orthogonal gradients of the same norm give the mean, a plain sum divided by the number of tasks.

    Args:
        **kwargs: Passed to `keras.Operation` (`name`).

    Reference:
        Liu et al. 2021, "Towards Impartial Multi-task Learning", ICLR, eq. 6, solved through the Gramian.
    """

    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        norms, cosines = unit_rows(gramian)
        counted = norms > 0.0
        inverse = tf.linalg.inv(positive_definite(cosines, _RIDGE))
        solution = tf.linalg.matvec(inverse, tf.cast(counted, tf.float64))
        # By the smallest norm, so that nothing overflows.
        smallest = tf.reduce_min(tf.where(counted, norms, tf.constant(float("inf"), tf.float64)))
        raw = tf.where(counted, solution * tf.math.divide_no_nan(smallest, norms), tf.zeros_like(norms))
        size = tf.reduce_sum(tf.abs(raw))
        return tf.math.divide_no_nan(raw, tf.maximum(tf.reduce_sum(raw), _SMALLEST_SUM * size))
