"""UPGrad: project every gradient so that it harms no task, then take the mean."""

import keras
import tensorflow as tf

from tfmtl.balancing._gramian import count, positive_definite, ratios, unit_rows
from tfmtl.balancing._quadratic_program import nonnegative_minimum
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.core.types import Tensor

_RIDGE = 1e-9


@keras.saving.register_keras_serializable(package="tfmtl")
class UPGrad(GradientAggregator):
    """Averages the projections of the gradients onto the cone of directions that harm no task.

    For each task i, `v` minimizes `|sum_t v_t g_t|` over `v_i >= 1`, `v_t >= 0`: that combination is the nearest to
    `g_i` among all `d` with `d . g_t >= 0` for every t. The weights are the mean of the `v`. So `d . g_t >= 0` holds
    for the step too, and it grows in proportion to each gradient.

    The n problems are solved at once in the cosines, by an interior-point method of 6 to 14 iterations, at most 40;
    cosines with another task end above -1e-6. Eigenvalues of the cosines below 1e-9 count as 1e-9.

    Scale: the mean, as in the paper: without a conflict a plain sum divided by the number of tasks.

    Args:
        **kwargs: Passed to `keras.Operation` (`name`).

    Reference:
        Quinton and Rey 2024 (Jacobian descent), https://arxiv.org/abs/2406.16232, eq. 3 and proposition 1.
    """

    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        norms, cosines = unit_rows(gramian)
        tasks = cosines.shape[0]
        cosines = positive_definite(cosines, _RIDGE)
        # v = e_i + x, in rows of norm 1. An absent task is orthogonal to all others: pushed to 0, it stays there.
        one = tf.eye(tasks, dtype=tf.float64)
        added = nonnegative_minimum(tf.tile(cosines[None], (tasks, 1, 1)), -cosines)
        combined = tf.where(present[:, None], ratios(norms) * (one + added), tf.zeros_like(added))
        return tf.reduce_sum(combined, axis=0) / count(present)
