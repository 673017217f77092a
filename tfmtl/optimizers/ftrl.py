"""FTRL-Proximal on touched rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.optimizers.row_optimizer import RowOptimizer
from tfmtl.schema.checks import check_nonnegative_number, check_number, error_text


@keras.saving.register_keras_serializable(package="tfmtl")
class Ftrl(RowOptimizer):
    """Follow the regularized leader on touched rows: exact zeros from `l1`, for wide linear tables.

    Equals `keras.optimizers.Ftrl` on rows that are touched. A row's value follows from its slots alone, whatever it
    was before: its first update forgets the initial value and starts near zero. That suits tables of weights that
    start at zero (width 1); embeddings that are multiplied with each other then learn slowly, and are better
    served by `Adagrad`. Two slots of the table's size.

    Args:
        learning_rate: float, schedule or callable. Defaults to `0.001`.
        learning_rate_power: float, at most 0. The step size of an element falls with this power of its accumulated
            squared gradient; 0 keeps it fixed. Defaults to `-0.5`.
        initial_accumulator_value: float, at least 0. Defaults to `0.1`.
        l1_regularization_strength: float, at least 0. Defaults to `0.0`.
        l2_regularization_strength: float, at least 0. Damps the steps, where `l2` penalizes the value; Keras calls
            half of the latter `l2_shrinkage_regularization_strength`. Defaults to `0.0`.
        beta: float, at least 0. The paper's beta. Defaults to `0.0`.
        **kwargs: Passed to `RowOptimizer` (`l2`, `clipnorm`, `clipvalue`, `global_clipnorm`, `name`).

    Reference:
        McMahan et al. 2013, https://research.google.com/pubs/archive/41159.pdf, algorithm 1, with beta and the
        strength of l2 as in Keras.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        check_number("Ftrl", "learning_rate_power", learning_rate_power)
        if learning_rate_power > 0:
            advice = "Use -0.5, or 0 for a fixed rate."
            raise ValueError(error_text("Ftrl", "learning_rate_power", "be at most 0", learning_rate_power, advice))
        check_nonnegative_number("Ftrl", "initial_accumulator_value", initial_accumulator_value)
        check_nonnegative_number("Ftrl", "l1_regularization_strength", l1_regularization_strength)
        check_nonnegative_number("Ftrl", "l2_regularization_strength", l2_regularization_strength)
        check_nonnegative_number("Ftrl", "beta", beta)
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.beta = beta

    def initial_slots(self) -> Mapping[str, float]:
        return {"accumulator": self.initial_accumulator_value, "linear": 0.0}

    def update_rows(
        self, gradient: Tensor, rows: Tensor, slots: Sequence[Tensor], learning_rate: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        l1, power = self.l1_regularization_strength, -self.learning_rate_power
        accumulator = slots[0] + tf.square(gradient)
        scale = tf.pow(accumulator, power) / learning_rate
        linear = slots[1] + gradient - (scale - tf.pow(slots[0], power) / learning_rate) * rows
        quadratic = scale + 2.0 * self.l2_regularization_strength + self.beta / learning_rate
        return (tf.clip_by_value(linear, -l1, l1) - linear) / quadratic, [accumulator, linear]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "beta": self.beta,
        }
