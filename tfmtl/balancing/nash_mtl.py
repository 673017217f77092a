"""Nash-MTL: the Nash bargaining solution for the step."""

import keras
import tensorflow as tf

from tfmtl.balancing._gramian import positive_definite, unit_rows
from tfmtl.balancing._quadratic_program import nonnegative_minimum
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.core.types import Tensor

_RIDGE = 1e-6


@keras.saving.register_keras_serializable(package="tfmtl")
class NashMTL(GradientAggregator):
    """The Nash bargaining solution: the step of a given length with the largest product of the tasks' gains.

    With `G` the Gramian, `w_t (G w)_t = 1`, `w_t > 0`. A task whose gradient is zero gets the weight 0.

    Solved in the cosines `C`, `b_t (C b)_t = 1`, `w_t = b_t / |g_t|`, which is where the gradient of `b' C b / 2 -
    sum_t log b_t` vanishes: a primal-dual Newton method, 3 to 14 iterations, at most 40, to 1e-9. Eigenvalues of `C`
    below 1e-6 count as 1e-6; where no step helps all tasks, a solution exists by that alone, and `w_t` stays below
    about `1000 sqrt(n) / |g_t|`.

    Scale: the step's norm is `sqrt(n)` for n tasks, whatever the gradients' norms; orthogonal gradients of norm 1 give
    the plain sum. As the gradients shrink in training, the step does not: use a learning rate that falls, or an
    optimizer which divides by the gradient's size, as Adam.

    Args:
        **kwargs: Passed to `keras.Operation` (`name`).

    Reference:
        Navon et al. 2022, https://arxiv.org/abs/2202.01017, claim 3.1 and eq. 2. The authors' code then
        cuts the step to the norm 1 (`max_norm`), which this does not.
    """

    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        norms, cosines = unit_rows(gramian)
        cosines = positive_definite(cosines, _RIDGE)[None]
        solution = nonnegative_minimum(cosines, tf.zeros_like(norms)[None], barrier=1.0)[0]
        return tf.math.divide_no_nan(solution, norms)
