"""Adam on touched rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.optimizers.row_optimizer import RowOptimizer
from tfmtl.schema.checks import check_positive_number, check_rate


@keras.saving.register_keras_serializable(package="tfmtl")
class LazyAdam(RowOptimizer):
    """Adam whose moments do not change for rows that a batch does not read.

    On touched rows the rule is that of `keras.optimizers.Adam` on the summed gradient of a row, equal to it where
    every row is touched once at every step; of a row that a batch reads several times Keras squares each part.
    Adam proper goes on moving a row by its old momentum, and lets its moments fade, at every step without it; here a
    row's moments are averages over the batches that held it. Two slots of the table's size.

    The bias correction counts the optimizer's steps, not a row's own: a row first touched late starts from zero
    moments without correction, and its first update is `(1 - beta_1) / sqrt(1 - beta_2)` learning rates an element,
    3.2 with the defaults, where Adam's first is 1.

    Args:
        learning_rate: float, schedule or callable. Defaults to `0.001`.
        beta_1: float in [0, 1). Share of the mean gradient that is kept. Defaults to `0.9`.
        beta_2: float in [0, 1). Share of the mean squared gradient that is kept. Defaults to `0.999`.
        epsilon: float, above 0. Defaults to `1e-07`.
        **kwargs: Passed to `RowOptimizer` (`l2`, `clipnorm`, `clipvalue`, `global_clipnorm`, `name`).

    Reference:
        Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1 in the order of computation of the end of
        section 2, so epsilon is the paper's epsilon hat. `l2` enters the gradient, it is not AdamW's decay.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        advice = "Use a share such as 0.9."
        check_rate("LazyAdam", "beta_1", beta_1, advice)
        check_rate("LazyAdam", "beta_2", beta_2, advice)
        check_positive_number("LazyAdam", "epsilon", epsilon)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def initial_slots(self) -> Mapping[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def update_rows(
        self, gradient: Tensor, rows: Tensor, slots: Sequence[Tensor], learning_rate: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        step = tf.cast(self.iterations + 1, rows.dtype)
        beta_1, beta_2 = (tf.constant(beta, rows.dtype) for beta in (self.beta_1, self.beta_2))
        correction = tf.sqrt(1.0 - tf.pow(beta_2, step)) / (1.0 - tf.pow(beta_1, step))
        momentum = slots[0] + (gradient - slots[0]) * (1.0 - self.beta_1)
        velocity = slots[1] + (tf.square(gradient) - slots[1]) * (1.0 - self.beta_2)
        change = momentum * (learning_rate * correction) / (tf.sqrt(velocity) + self.epsilon)
        return rows - change, [momentum, velocity]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
