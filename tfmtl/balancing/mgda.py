"""MGDA: the common descent direction of smallest norm."""

import keras

from tfmtl.balancing._gramian import count, positive_definite, unit_rows
from tfmtl.balancing._min_norm import min_norm_weights
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.core.types import Tensor


@keras.saving.register_keras_serializable(package="tfmtl")
class MGDA(GradientAggregator):
    """Steps along the point of least norm in the convex hull of the gradients, which lowers every loss.

    Minimizes `|sum_t a_t g_t|` over `a_t >= 0`, `sum_t a_t = 1`. The result `d` has `d . g_t >= |d|^2` for every task;
    it favors tasks with small gradients, and one whose gradient is zero stops the step for all.

    Solved by an interior-point method, 6 to 14 iterations, at most 40; the squared norm exceeds the least by at
    most about 1e-10 of the largest gradient's.

    Scale: `w_t = n a_t` for the n tasks of the batch, so equal weights are the plain sum of the losses.

    Args:
        **kwargs: Passed to `keras.Operation` (`name`).

    Reference:
        Désidéri 2012; Sener and Koltun 2018, https://arxiv.org/abs/1810.04650, eq. 3, without the bound on the
        representation's gradient and without dividing the gradients by norms or losses. Times n as in the code of
        Phan et al., https://arxiv.org/abs/2211.13723.
    """

    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        norms, cosines = unit_rows(gramian)
        cleaned = positive_definite(cosines, 0.0) * norms[:, None] * norms[None, :]
        return count(present) * min_norm_weights(cleaned[None], present)[0]
