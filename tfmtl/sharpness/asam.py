"""Adaptive sharpness-aware minimization."""

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.sharpness.sharpness import Sharpness


@keras.saving.register_keras_serializable(package="tfmtl")
class ASAM(Sharpness):
    """Moves each weight in proportion to its size: `eps = rho theta^2 g / (| |theta| g | + 1e-12)`.

    What it finds does not change when one layer's weights are scaled up and the next one's down. A weight of zero,
    such as a new bias, is not moved.

    Args:
        rho: float of at least 0. Length of `eps / |theta|`. Defaults to `2.0`.
        decomposed: bool. Whether every task has its own perturbation, and its flatness is balanced apart from its
            loss, as in `Sharpness`. Defaults to `False`.
        embeddings: bool. Whether the rows of the tables that a batch reads are moved too. Defaults to `False`.

    Raises:
        TypeError: If `rho` is not a number, or a switch not a bool.
        ValueError: If `rho` is negative.

    Reference:
        Kwon et al. 2021, https://arxiv.org/abs/2102.11600, with `T = |theta|`, as in the code of Phan et al. 2022,
        https://arxiv.org/abs/2211.13723, whose algorithm 1 is the decomposed form.
    """

    def __init__(self, rho: float = 2.0, decomposed: bool = False, embeddings: bool = False) -> None:
        super().__init__(rho, decomposed, embeddings)

    def _scale(self, weight: Tensor) -> Tensor:
        return tf.abs(weight)
