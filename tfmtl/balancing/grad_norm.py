"""GradNorm: weights that make the tasks train at similar rates, by the norms of their gradients."""

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfmtl.balancing._task_adam import TaskAdam
from tfmtl.balancing.balancer import Balancer
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_number, check_positive_number, error_text

_SMALLEST = 1e-4
_TINY = 1e-30


@keras.saving.register_keras_serializable(package="tfmtl")
class GradNorm(Balancer):
    """Learns weights with which the tasks' weighted gradients have norms that follow their rates of training.

    With `n_t` the norm of the task's gradient, `G_t = w_t n_t`, and `r_t` the task's loss by its first one, divided by
    the mean of that over the tasks, it minimizes `sum_t |G_t - mean(G) r_t^alpha|`, the second term a constant: the
    gradient of `w_t` is `n_t sign(G_t - mean(G) r_t^alpha)`. Adam follows it after each step, on norms divided by their
    mean; weights are kept at or above 0.0001 and then scaled to the sum they had.

    Scale: weights sum to the number of tasks and start as the plain sum of the losses, all 1.

    Args:
        alpha: float of at least 0. How strongly slow tasks are pulled forward; 0 makes all norms equal. Defaults to
            `1.5`.
        learning_rate: float. Learning rate of Adam for the weights. Defaults to `0.025`.
        **kwargs: Passed to `keras.Operation` (`name`).

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If `alpha` is negative or `learning_rate` is not positive.

    Reference:
        Chen et al. 2018, https://arxiv.org/abs/1711.02257, eq. 1-2 and algorithm 1. The norms are of the whole shared
        gradient, of which the paper takes the last shared layer.
    """

    uses_gramian: ClassVar[bool] = True

    def __init__(self, alpha: float = 1.5, learning_rate: float = 0.025, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_number(owner, "alpha", alpha)
        if alpha < 0:
            raise ValueError(error_text(owner, "alpha", "be at least 0", alpha, "Use 0 for equal norms, or more."))
        check_positive_number(owner, "learning_rate", learning_rate)
        self.alpha = alpha
        self.learning_rate = learning_rate

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "learning_rate": self.learning_rate}

    def _create_state(self, num_tasks: int) -> None:
        self._task_weights = self.add_variable("task_weights", (num_tasks,), 1.0)
        self._first_losses = self.add_variable("first_losses", (num_tasks,))
        self._seen = self.add_variable("seen", (num_tasks,))
        self._adam = TaskAdam(self, num_tasks, self.learning_rate)

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        weights = tf.identity(self._task_weights.value)
        changed = weights + self._adam.change(self._gradient(weights, losses, gramian, present), present)
        changed = tf.where(present, tf.maximum(changed, _SMALLEST), 0.0)
        total = tf.reduce_sum(tf.where(present, weights, 0.0))
        scaled = changed * tf.math.divide_no_nan(total, tf.reduce_sum(changed))
        self._task_weights.assign(tf.where(present, scaled, weights))
        return weights

    def _gradient(self, weights: Tensor, losses: Tensor, gramian: Tensor, present: Tensor) -> Tensor:
        """Of the paper's `L_grad` with respect to the weights, divided by the mean of the norms."""
        norms = tf.sqrt(tf.maximum(tf.linalg.diag_part(gramian), 0.0))
        # Norms by their mean: a common factor would only reach Adam's small constant, and overflow it in float32.
        norms = tf.cast(tf.math.divide_no_nan(norms, _mean(norms, present)), tf.float32)
        rates = tf.math.divide_no_nan(losses, tf.maximum(self._first(losses, present), _TINY))
        inverse_rates = tf.maximum(tf.math.divide_no_nan(rates, _mean(rates, present)), _TINY)
        weighted = weights * norms
        target = _mean(tf.where(present, weighted, 0.0), present) * inverse_rates**self.alpha
        return norms * tf.sign(weighted - target)

    def _first(self, losses: Tensor, present: Tensor) -> Tensor:
        """Each task's first loss, which this step's is for a task that comes for the first time."""
        seen = self._seen.value > 0.0
        first = tf.where(tf.logical_and(present, tf.logical_not(seen)), losses, self._first_losses.value)
        self._first_losses.assign(first)
        self._seen.assign(tf.cast(tf.logical_or(seen, present), tf.float32))
        return first


def _mean(values: Tensor, present: Tensor) -> Tensor:
    """The mean over the present tasks of values that are 0 elsewhere."""
    return tf.reduce_sum(values) / tf.maximum(tf.reduce_sum(tf.cast(present, values.dtype)), 1.0)
