"""The base class of sharpness-aware methods."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_bool, check_nonnegative_number

_SMALLEST = 1e-12


class Sharpness(ABC):
    """Takes the gradient of a step not at the weights, but where the loss is worst in a ball around them.

    Weights `theta` with gradient g are moved by `eps = rho s^2 g / (|s g| + 1e-12)`, where the scales s, which give
    the ball its shape, are the method's. The norm is over all weights that tasks share together, and over all that
    belong to single tasks. Every step costs two forward and backward passes, the first for the direction of `eps`.

    Decomposed, every task moves the weights by a perturbation of its own, and what that changes in its gradient is
    balanced apart from the gradient: `aggregate(g) + aggregate(g_flat)` with `g_flat = g_sam - g` for what tasks share,
    `g_sam` for what belongs to single tasks. That costs two forward and backward passes per task.

    Args:
        rho: float of at least 0. Radius of the ball.
        decomposed: bool. Whether every task has its own perturbation. Defaults to `False`: one for the sum of the
            losses.
        embeddings: bool. Whether the rows of the embedding tables that a batch reads are moved too, every row alike
            wherever it is read. Defaults to `False`: the other weights alone.

    Raises:
        TypeError: If `rho` is not a number, or a switch not a bool.
        ValueError: If `rho` is negative.
    """

    def __init__(self, rho: float, decomposed: bool = False, embeddings: bool = False) -> None:
        owner = type(self).__name__
        check_nonnegative_number(owner, "rho", rho, "Use 0.05 with SAM, 2.0 with ASAM.")
        check_bool(owner, "decomposed", decomposed)
        check_bool(owner, "embeddings", embeddings)
        self.rho = rho
        self.decomposed = decomposed
        self.embeddings = embeddings

    def perturbation(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
        """The change of each weight; the norm is over all weights that are given.

        Args:
            weights: float tensors.
            gradients: float tensors of the same shapes.

        Returns:
            list: float tensors of these shapes.
        """
        scales = [self._scale(weight) for weight in weights]
        scaled = [scale * gradient for scale, gradient in zip(scales, gradients, strict=True)]
        factor = self.rho / (tf.linalg.global_norm(scaled) + _SMALLEST) if scaled else 0.0
        return [factor * scale * gradient for scale, gradient in zip(scales, scaled, strict=True)]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"rho": self.rho, "decomposed": self.decomposed, "embeddings": self.embeddings}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Sharpness":
        """Makes the method of a config."""
        return cls(**config)

    @abstractmethod
    def _scale(self, weight: Tensor) -> Tensor:
        """The extent of the ball along each entry of a weight, in units of `rho`."""
