"""Gradient descent on touched rows."""

from collections.abc import Sequence
from typing import Any

import keras

from tfmtl.core.types import Tensor
from tfmtl.optimizers.row_optimizer import RowOptimizer


@keras.saving.register_keras_serializable(package="tfmtl")
class SGD(RowOptimizer):
    """Stochastic gradient descent on touched rows: `row -= learning_rate * gradient`.

    Equals `keras.optimizers.SGD` without momentum. It keeps no slot, so a table costs its own memory only.

    Args:
        learning_rate: float, schedule or callable. Defaults to `0.01`.
        **kwargs: Passed to `RowOptimizer` (`l2`, `clipnorm`, `clipvalue`, `global_clipnorm`, `name`).
    """

    def __init__(self, learning_rate: Any = 0.01, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)

    def update_rows(
        self, gradient: Tensor, rows: Tensor, slots: Sequence[Tensor], learning_rate: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        return rows - learning_rate * gradient, []
