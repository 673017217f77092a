"""Gradients made orthogonal and equally long, with as little change as possible."""

import keras
import tensorflow as tf

from tfmtl.balancing._gramian import unit_rows
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.core.types import Tensor

_RANK_TOLERANCE = 1.2e-7  # what float32 products tell from 0, by the largest eigenvalue and task


@keras.saving.register_keras_serializable(package="tfmtl")
class AlignedMTL(GradientAggregator):
    """Replaces the gradients by the nearest set of orthogonal ones of one norm, and adds these up.

    With the Gramian `G = V diag(l) V'`, the weights are `w = sqrt(l_min) V diag(l)^(-1/2) V' 1`. The aligned matrix has
    the condition number 1 and the norm of the least stable direction, `sqrt(l_min)`. Eigenvalues at or below `1.2e-7 n
    l_max` count as 0 and are left out, `l_min` is the least of the others.

    Scale: orthogonal gradients of one norm give the plain sum of the losses; all others a shorter step.

    Args:
        **kwargs: Passed to `keras.Operation` (`name`).

    Reference:
        Senushkin et al. 2023, https://arxiv.org/abs/2305.19000, eq. 13-14 and algorithm 1, all tasks of importance 1.
    """

    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        norms, cosines = unit_rows(gramian)
        norms = tf.math.divide_no_nan(norms, tf.reduce_max(norms))
        values, vectors = tf.linalg.eigh(cosines * norms[:, None] * norms[None, :])
        tasks = tf.reduce_sum(tf.cast(present, tf.float64))
        kept = values > _RANK_TOLERANCE * tasks * values[-1]
        smallest = tf.reduce_min(tf.where(kept, values, tf.maximum(values[-1], 0.0)))
        scales = tf.where(kept, tf.sqrt(tf.math.divide_no_nan(smallest, values)), tf.zeros_like(values))
        return tf.linalg.matvec(vectors, scales * tf.reduce_sum(vectors, axis=0))
