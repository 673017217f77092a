"""PCGrad: project conflicting parts out of the gradients, one pair of tasks after the other."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing._gramian import ratios, unit_rows
from tfmtl.balancing._random_order import next_seed, random_orders
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_count


@keras.saving.register_keras_serializable(package="tfmtl")
class PCGrad(GradientAggregator):
    """Removes from each task's gradient the part that points against another task's gradient.

    Starting from `g_i' = g_i`, for every other task j in random order: if `g_i' . g_j < 0`, then
    `g_i' -= (g_i' . g_j) / |g_j|^2 g_j`. The step is `sum_i g_i'`.

    Scale: without a conflict the plain sum of the losses, all weights 1.

    Args:
        seed: int of at least 0. Seed of the random orders of the tasks. Defaults to `0`.
        **kwargs: Passed to `keras.Operation` (`name`).

    Raises:
        TypeError: If `seed` is not an int.
        ValueError: If `seed` is negative.

    Reference:
        Yu et al. 2020, https://arxiv.org/abs/2001.06782, algorithm 1.
    """

    def __init__(self, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_count(type(self).__name__, "seed", seed, "Use 0.")
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}

    def _create_state(self, num_tasks: int) -> None:
        self._step = self.add_variable("step", (), dtype="int64")

    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        tasks = gramian.shape[0]
        norms, cosines = unit_rows(gramian)
        orders = random_orders(tasks, next_seed(self.seed, self._step))
        # Row i holds g_i' / |g_i| as a combination of the unit gradients.
        coefficients = tf.eye(tasks, dtype=tf.float64)
        for position in range(tasks):
            other = orders[:, position]
            met = tf.one_hot(other, tasks, dtype=tf.float64)
            product = tf.reduce_sum(coefficients * tf.gather(cosines, other), axis=1, keepdims=True)
            conflict = tf.logical_and(product < 0.0, tf.not_equal(other, tf.range(tasks))[:, None])
            coefficients -= tf.where(conflict, product, tf.zeros_like(product)) * met
        return tf.reduce_sum(ratios(norms) * coefficients, axis=0)
