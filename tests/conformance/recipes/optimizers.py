"""How to make every public optimizer, and a value of every argument that changes its steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from tfmtl.optimizers import SGD, Adagrad, Adam, Ftrl, LazyAdam, RowWiseAdagrad, Split


@dataclass(frozen=True)
class OptimizerRecipe:
    """One public optimizer.

    Attributes:
        optimizer_class: The class.
        arguments: Makes the constructor's arguments anew, since parts of an optimizer serve one model only.
        alternatives: For every argument a value that changes the steps.
    """

    optimizer_class: type[keras.optimizers.Optimizer]
    arguments: Callable[[], Mapping[str, Any]]
    alternatives: Mapping[str, Callable[[], Any]]

    def create(self, **changes: Any) -> keras.optimizers.Optimizer:
        """Makes a fresh optimizer."""
        return self.optimizer_class(**{**self.arguments(), **changes})


ROW_ALTERNATIVES = {
    "l2": lambda: 0.5,
    "clipnorm": lambda: 0.01,
    "clipvalue": lambda: 0.001,
    "global_clipnorm": lambda: 0.01,
}
"""Of what every row-wise optimizer takes; they are hidden in its `**kwargs`."""


def _row(optimizer_class: type, arguments: dict[str, Any], **alternatives: Any) -> OptimizerRecipe:
    values = {"learning_rate": 0.3, **alternatives}
    makers = {name: (lambda value=value: value) for name, value in values.items()}
    return OptimizerRecipe(optimizer_class, lambda: arguments, makers | ROW_ALTERNATIVES)


RECIPES = (
    _row(SGD, {"learning_rate": 0.1}),
    _row(Adagrad, {"learning_rate": 0.1}, initial_accumulator_value=0.5, epsilon=0.1),
    _row(RowWiseAdagrad, {"learning_rate": 0.1}, initial_accumulator_value=0.5, epsilon=0.1),
    _row(LazyAdam, {"learning_rate": 0.1}, beta_1=0.5, beta_2=0.5, epsilon=0.1),
    _row(
        Ftrl,
        {"learning_rate": 0.1},
        learning_rate_power=-0.3,
        initial_accumulator_value=0.5,
        l1_regularization_strength=0.01,
        l2_regularization_strength=0.1,
        beta=0.5,
    ),
    OptimizerRecipe(
        Adam,
        lambda: {"learning_rate": 0.1},
        {"learning_rate": lambda: 0.3, "beta_1": lambda: 0.5, "beta_2": lambda: 0.5, "epsilon": lambda: 0.1},
    ),
    OptimizerRecipe(
        Split,
        lambda: {"tables": Adagrad(0.1), "rest": keras.optimizers.Adam(0.01)},
        {
            "tables": lambda: LazyAdam(0.1),
            "rest": lambda: keras.optimizers.SGD(0.01),
            "select": lambda: ("dense/kernel",),
        },
    ),
)
