"""Adagrad on touched rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.optimizers.row_optimizer import RowOptimizer
from tfmtl.schema.checks import check_nonnegative_number


@keras.saving.register_keras_serializable(package="tfmtl")
class Adagrad(RowOptimizer):
    """Adagrad on touched rows, with a separate step size for every element.

    `a += g^2; row -= learning_rate * g / sqrt(a + epsilon)`. A row that no batch reads has a zero gradient, and a zero
    gradient changes nothing here: this equals `keras.optimizers.Adagrad` on any data. One slot of the table's size.

    Args:
        learning_rate: float, schedule or callable. Embeddings usually want 0.01 to 0.1. Defaults to `0.001`.
        initial_accumulator_value: float, at least 0. What `a` starts with. Defaults to `0.1`.
        epsilon: float, at least 0. Defaults to `1e-07`.
        **kwargs: Passed to `RowOptimizer` (`l2`, `clipnorm`, `clipvalue`, `global_clipnorm`, `name`).

    Reference:
        Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html, the diagonal form, with the start value and the
        place of epsilon as in Keras.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        check_nonnegative_number("Adagrad", "initial_accumulator_value", initial_accumulator_value)
        check_nonnegative_number("Adagrad", "epsilon", epsilon)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def initial_slots(self) -> Mapping[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def update_rows(
        self, gradient: Tensor, rows: Tensor, slots: Sequence[Tensor], learning_rate: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        accumulator = slots[0] + tf.square(gradient)
        return rows - learning_rate * gradient / tf.sqrt(accumulator + self.epsilon), [accumulator]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
