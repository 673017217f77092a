"""Uncertainty weighting: weights from a learned noise level per task."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing._task_adam import TaskAdam
from tfmtl.balancing.balancer import Balancer
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_positive_number


@keras.saving.register_keras_serializable(package="tfmtl")
class UncertaintyWeights(Balancer):
    """Weighs every task by the inverse variance that best explains its loss.

    Minimizes `sum_t exp(-s_t) L_t + s_t / 2` over the network and over `s_t = log sigma_t^2` together. The network's
    weight is `w_t = exp(-s_t)`, the gradient of `s_t` is `1/2 - exp(-s_t) L_t`, followed by Adam after each step. At
    rest `w_t = 1 / (2 L_t)`, so every task's weighted loss is one half, as large as the others'.

    Scale: starts as the plain sum of the losses, all `w_t = 1`.

    Args:
        learning_rate: float. Learning rate of Adam for `s`; a weight changes by at most about this share in a step.
            Defaults to `0.01`.
        **kwargs: Passed to `keras.Operation` (`name`).

    Raises:
        TypeError: If `learning_rate` is not a number.
        ValueError: If `learning_rate` is not positive.

    Reference:
        Kendall, Gal and Cipolla 2018, https://arxiv.org/abs/1705.07115, eq. 10. Its regression tasks have half of the
        squared error, which only shifts `s`: the weighted loss at rest is the same.
    """

    def __init__(self, learning_rate: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive_number(type(self).__name__, "learning_rate", learning_rate)
        self.learning_rate = learning_rate

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "learning_rate": self.learning_rate}

    def _create_state(self, num_tasks: int) -> None:
        self._log_variance = self.add_variable("log_variance", (num_tasks,))
        self._adam = TaskAdam(self, num_tasks, self.learning_rate)

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        log_variance = tf.identity(self._log_variance.value)
        weights = tf.exp(-log_variance)
        self._log_variance.assign(log_variance + self._adam.change(0.5 - weights * losses, present))
        return weights
