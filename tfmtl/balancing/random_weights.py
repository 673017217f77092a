"""Random loss weighting: weights drawn in each step."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing._random_order import next_seed
from tfmtl.balancing.balancer import Balancer
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_count


@keras.saving.register_keras_serializable(package="tfmtl")
class RandomWeights(Balancer):
    """Draws weights in each step: `w = n softmax(z)` over the n tasks of the batch, `z` standard normal.

    A baseline that a method of balancing should beat.

    Scale: weights sum to n, so the plain sum of the losses is what they average to. In the paper they sum to 1.

    Args:
        seed: int of at least 0. Defaults to `0`.
        **kwargs: Passed to `keras.Operation` (`name`).

    Raises:
        TypeError: If `seed` is not an int.
        ValueError: If `seed` is negative.

    Reference:
        Lin et al. 2022, https://arxiv.org/abs/2111.10603, random loss weighting.
    """

    def __init__(self, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_count(type(self).__name__, "seed", seed, "Use 0.")
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}

    def _create_state(self, num_tasks: int) -> None:
        self._step = self.add_variable("step", (), dtype="int64")

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        draws = tf.random.stateless_normal(losses.shape, next_seed(self.seed, self._step))
        powers = tf.where(present, tf.exp(draws), 0.0)
        tasks = tf.reduce_sum(tf.cast(present, tf.float32))
        return tasks * tf.math.divide_no_nan(powers, tf.reduce_sum(powers))
