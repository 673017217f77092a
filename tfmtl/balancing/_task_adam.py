"""Adam for one parameter per task; the parameter of a task without a label does not change."""

import tensorflow as tf

from tfmtl.balancing.balancer import Balancer
from tfmtl.core.types import Tensor

_DECAY_OF_MEAN = 0.9
_DECAY_OF_SQUARE = 0.999
_EPSILON = 1e-8


class TaskAdam:
    """Kingma and Ba 2015, algorithm 1, with a count of steps for each task.

    Args:
        balancer: `Balancer`. Holds the moments among its variables.
        num_tasks: int.
        learning_rate: float.
    """

    def __init__(self, balancer: Balancer, num_tasks: int, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self._mean = balancer.add_variable("adam_mean", (num_tasks,))
        self._square = balancer.add_variable("adam_square", (num_tasks,))
        self._steps = balancer.add_variable("adam_steps", (num_tasks,))

    def change(self, gradient: Tensor, active: Tensor) -> Tensor:
        """The change of the parameters, float32 `(T,)`; 0 for a task that is not active."""
        old_mean, old_square = self._mean.value + 0.0, self._square.value + 0.0
        mean = _DECAY_OF_MEAN * old_mean + (1.0 - _DECAY_OF_MEAN) * gradient
        square = _DECAY_OF_SQUARE * old_square + (1.0 - _DECAY_OF_SQUARE) * tf.square(gradient)
        steps = self._steps.value + tf.cast(active, tf.float32)
        self._mean.assign(tf.where(active, mean, old_mean))
        self._square.assign(tf.where(active, square, old_square))
        self._steps.assign(steps)
        counted = tf.maximum(steps, 1.0)
        mean_hat = mean / (1.0 - _DECAY_OF_MEAN**counted)
        square_hat = square / (1.0 - _DECAY_OF_SQUARE**counted)
        return tf.where(active, -self.learning_rate * mean_hat / (tf.sqrt(square_hat) + _EPSILON), 0.0)
