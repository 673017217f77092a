"""GradVac: raise the cosines of the gradients to their running means."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing._gramian import ratios, unit_rows
from tfmtl.balancing._random_order import next_seed, random_orders
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_count, check_probability

_LARGEST = 1.0 - 1e-6


@keras.saving.register_keras_serializable(package="tfmtl")
class GradVac(GradientAggregator):
    """Turns each task's gradient towards another's where they agree less than usual.

    Starting from `g_i' = g_i`, for every other task j in random order: with `c` the cosine of `g_i'` and `g_j` and
    `m_ij` a running mean of it, if `c < m_ij`, then `g_i' += |g_i'| (m_ij sqrt(1 - c^2) - c sqrt(1 - m_ij^2)) / (|g_j|
    sqrt(1 - m_ij^2)) g_j`, which makes the cosine `m_ij`; then `m_ij += decay (c - m_ij)`. The step is `sum_i g_i'`.
    With all `m_ij = 0`, as at the start, this is PCGrad.

    Scale: where no pair agrees less than usual the plain sum of the losses, all weights 1.

    Args:
        decay: float strictly between 0 and 1. Share of this step in the running means. Defaults to `0.01`.
        seed: int of at least 0. Seed of the random orders of the tasks. Defaults to `0`.
        **kwargs: Passed to `keras.Operation` (`name`).

    Raises:
        TypeError: If an argument has another type.
        ValueError: If `decay` is not between 0 and 1, or `seed` is negative.

    Reference:
        Wang et al. 2021, https://arxiv.org/abs/2010.05874, eq. 2-3 and algorithm 1, for all shared parameters together
        (there, for each layer as well).
    """

    def __init__(self, decay: float = 0.01, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_probability(owner, "decay", decay, "Use a small share such as 0.01.")
        check_count(owner, "seed", seed, "Use 0.")
        self.decay = decay
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay, "seed": self.seed}

    def _create_state(self, num_tasks: int) -> None:
        self._step = self.add_variable("step", (), dtype="int64")
        self._usual = self.add_variable("usual_cosines", (num_tasks, num_tasks))

    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        tasks = gramian.shape[0]
        norms, cosines = unit_rows(gramian)
        orders = random_orders(tasks, next_seed(self.seed, self._step))
        usual = tf.cast(self._usual.value, tf.float64)
        usual = tf.clip_by_value(usual, -_LARGEST, _LARGEST)
        moved = usual
        # Row i holds g_i' / |g_i| as a combination of the unit gradients.
        coefficients = tf.eye(tasks, dtype=tf.float64)
        there = norms > 0.0  # an absent task's gradient is zero as well
        for position in range(tasks):
            other = orders[:, position]
            met = tf.one_hot(other, tasks, dtype=tf.float64)
            counts = tf.logical_and(there, tf.gather(there, other))
            counts = tf.logical_and(counts, tf.not_equal(other, tf.range(tasks)))[:, None]
            products = tf.matmul(coefficients, cosines)
            length = tf.sqrt(tf.maximum(tf.reduce_sum(products * coefficients, axis=1, keepdims=True), 0.0))
            cosine = tf.math.divide_no_nan(tf.reduce_sum(products * met, axis=1, keepdims=True), length)
            cosine = tf.clip_by_value(cosine, -1.0, 1.0)
            goal = tf.reduce_sum(usual * met, axis=1, keepdims=True)
            rest = tf.sqrt(1.0 - goal**2)
            change = length * (goal * tf.sqrt(1.0 - cosine**2) - cosine * rest) / rest
            coefficients += tf.where(tf.logical_and(counts, cosine < goal), change, tf.zeros_like(change)) * met
            moved += tf.where(counts, self.decay * (cosine - goal), tf.zeros_like(cosine)) * met
        self._usual.assign(tf.cast(moved, tf.float32))
        return tf.reduce_sum(ratios(norms) * coefficients, axis=0)
