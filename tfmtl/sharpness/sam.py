"""Sharpness-aware minimization."""

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.sharpness.sharpness import Sharpness


@keras.saving.register_keras_serializable(package="tfmtl")
class SAM(Sharpness):
    """Moves the weights by `rho` along their gradient: `eps = rho g / (|g| + 1e-12)`.

    Args:
        rho: float of at least 0. Length of the move. Defaults to `0.05`.
        decomposed: bool. Whether every task has its own perturbation, and its flatness is balanced apart from its
            loss, as in `Sharpness`. Defaults to `False`.
        embeddings: bool. Whether the rows of the tables that a batch reads are moved too. Defaults to `False`.

    Raises:
        TypeError: If `rho` is not a number, or a switch not a bool.
        ValueError: If `rho` is negative.

    Reference:
        Foret et al. 2021, https://arxiv.org/abs/2010.01412, eq. 2; decomposed: Phan et al. 2022,
        https://arxiv.org/abs/2211.13723, algorithm 1.
    """

    def __init__(self, rho: float = 0.05, decomposed: bool = False, embeddings: bool = False) -> None:
        super().__init__(rho, decomposed, embeddings)

    def _scale(self, weight: Tensor) -> Tensor:
        return tf.ones((), weight.dtype)
