"""Weights from how fast each loss falls."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing.balancer import Balancer
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_positive_int, check_positive_number


@keras.saving.register_keras_serializable(package="tfmtl")
class DynamicWeightAverage(Balancer):
    """Gives more weight to tasks whose losses fall more slowly.

    `w_t = n softmax_t(r_t / temperature)` over the n tasks of the batch, where `r_t` is the task's mean loss in the
    last period by that in the one before. Until a task has been in two periods, `r_t = 1`.

    Scale: weights sum to n, so losses that fall alike are the plain sum. A high temperature makes all weights 1, a
    temperature near 0 gives everything to the slowest task.

    Args:
        temperature: float. Defaults to `2.0`.
        steps_per_period: int. Losses are averaged over so many steps. The paper's period is an epoch; a mean of a few
            batches is mostly noise. Defaults to `500`.
        **kwargs: Passed to `keras.Operation` (`name`).

    Raises:
        TypeError: If an argument has another type.
        ValueError: If an argument is not positive.

    Reference:
        Liu, Johns and Davison 2019, https://arxiv.org/abs/1803.10704, eq. 7.
    """

    def __init__(self, temperature: float = 2.0, steps_per_period: int = 500, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive_number(type(self).__name__, "temperature", temperature)
        check_positive_int(type(self).__name__, "steps_per_period", steps_per_period)
        self.temperature = temperature
        self.steps_per_period = steps_per_period

    def get_config(self) -> dict[str, Any]:
        own = {"temperature": self.temperature, "steps_per_period": self.steps_per_period}
        return {**super().get_config(), **own}

    def _create_state(self, num_tasks: int) -> None:
        self._step = self.add_variable("step", (), dtype="int64")
        self._sum = self.add_variable("sum", (num_tasks,))
        self._count = self.add_variable("count", (num_tasks,))
        # 0 says that there is no such period yet: a mean loss of exactly 0 gives no ratio either.
        self._last = self.add_variable("last", (num_tasks,))
        self._before = self.add_variable("before", (num_tasks,))

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        last, before = tf.identity(self._last.value), tf.identity(self._before.value)
        known = tf.logical_and(last > 0.0, before > 0.0)
        ratio = tf.where(known, tf.math.divide_no_nan(last, before), 1.0)
        self._record(losses, present, last, before)
        largest = tf.reduce_max(tf.where(present, ratio, 0.0))
        powers = tf.where(present, tf.exp((tf.minimum(ratio, largest) - largest) / self.temperature), 0.0)
        tasks = tf.reduce_sum(tf.cast(present, tf.float32))
        return tasks * tf.math.divide_no_nan(powers, tf.reduce_sum(powers))

    def _record(self, losses: Tensor, present: Tensor, last: Tensor, before: Tensor) -> None:
        """Adds a step; at the end of a period the means of tasks that were in it move up."""
        step = self._step.value + 1
        total = self._sum.value + losses
        count = self._count.value + tf.cast(present, tf.float32)
        ends = tf.equal(step % self.steps_per_period, 0)
        moves = tf.logical_and(ends, count > 0.0)
        self._step.assign(step)
        self._before.assign(tf.where(moves, last, before))
        self._last.assign(tf.where(moves, tf.math.divide_no_nan(total, count), last))
        self._sum.assign(tf.where(ends, 0.0, total))
        self._count.assign(tf.where(ends, 0.0, count))
