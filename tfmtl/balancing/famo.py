"""Weights that follow how much the last step helped each task."""

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfmtl.balancing._task_adam import TaskAdam
from tfmtl.balancing.balancer import Balancer
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_number, check_positive_number, error_text

_SMALLEST = 1e-8


@keras.saving.register_keras_serializable(package="tfmtl")
class FAMO(Balancer):
    """Lets all losses fall at the same relative rate, at the cost of the losses of one more forward pass.

    With `z = softmax(xi)` over the tasks of the batch, the weights are `w_t = c z_t / L_t`, `c = 1 / sum_t(z_t / L_t)`.
    After the optimizer's step, `d_t = log L_t(before) - log L_t(after)` on the same batch, and `xi` follows the
    gradient `J d + gamma xi`, `J` being the Jacobian of the softmax: `(J d)_t = z_t (d_t - sum_u z_u d_u)`. Losses have
    to be positive; 1e-8 is added to them.

    Scale: weights sum to 1, so equal losses start with the mean, a plain sum divided by the number of tasks.

    Args:
        learning_rate: float. Learning rate of Adam for `xi`. Defaults to `0.025`.
        gamma: float of at least 0. Decay of `xi` towards equal weights. Defaults to `0.01`.
        **kwargs: Passed to `keras.Operation` (`name`).

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If `learning_rate` is not positive or `gamma` is negative.

    Reference:
        Liu et al. 2023, https://arxiv.org/abs/2306.03792, algorithm 1. `xi` follows Adam, as in the authors' code; the
        algorithm as printed takes plain steps.
    """

    uses_next_losses: ClassVar[bool] = True

    def __init__(self, learning_rate: float = 0.025, gamma: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_number(owner, "learning_rate", learning_rate)
        check_number(owner, "gamma", gamma)
        if gamma < 0:
            raise ValueError(error_text(owner, "gamma", "be at least 0", gamma, "Use 0 for no decay, or more."))
        self.learning_rate = learning_rate
        self.gamma = gamma

    def update(self, losses: Tensor, next_losses: Tensor) -> None:
        self._built_tasks()
        losses, next_losses = self._vector("losses", losses), self._vector("next_losses", next_losses)
        known = tf.logical_and(tf.math.is_finite(losses), tf.math.is_finite(next_losses))
        present = tf.logical_and(self._present.value > 0.0, known)
        gain = tf.where(present, tf.math.log(_positive(losses)) - tf.math.log(_positive(next_losses)), 0.0)
        logits = tf.identity(self._logits.value)
        shares = _softmax(logits, present)
        gradient = shares * (gain - tf.reduce_sum(shares * gain)) + self.gamma * logits
        self._logits.assign(logits + self._adam.change(gradient, present))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "learning_rate": self.learning_rate, "gamma": self.gamma}

    def _create_state(self, num_tasks: int) -> None:
        self._logits = self.add_variable("logits", (num_tasks,))
        self._present = self.add_variable("present", (num_tasks,))
        self._adam = TaskAdam(self, num_tasks, self.learning_rate)

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        self._present.assign(tf.cast(present, tf.float32))
        shares = _softmax(tf.identity(self._logits.value), present) / _positive(losses)
        return tf.math.divide_no_nan(shares, tf.reduce_sum(shares))


def _positive(losses: Tensor) -> Tensor:
    return tf.maximum(losses, 0.0) + _SMALLEST


def _softmax(logits: Tensor, present: Tensor) -> Tensor:
    """Over the present tasks; 0 for the others."""
    largest = tf.reduce_max(tf.where(present, logits, -float("inf")))
    powers = tf.where(present, tf.exp(tf.minimum(logits - largest, 0.0)), 0.0)
    return tf.math.divide_no_nan(powers, tf.reduce_sum(powers))
