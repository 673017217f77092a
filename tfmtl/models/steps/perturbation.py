"""A forward pass at moved weights, without writing to the weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from tfmtl.core.types import Tensor


@dataclass(frozen=True)
class Perturbation:
    """The values that are added to the weights for a pass.

    Args:
        dense: a tensor for each of `ForwardPass.dense`.
        rows: width -> what is added to the looked-up rows, `(B, n, width)`; empty where they stay.
        states: variables and the values they have in the pass, such as the seeds of dropout.
    """

    dense: list[Tensor]
    rows: dict[str, Tensor]
    states: list[tuple[keras.Variable, Tensor]]

    def scope(self, weights: Sequence[keras.Variable]) -> keras.StatelessScope:
        """In it the weights read as moved, and whatever layers assign is dropped.

        The sums are made here, under the tape of the caller: the gradient with respect to a weight is then the
        gradient at the moved weight.
        """
        moved = [(weight, weight.value + added) for weight, added in zip(weights, self.dense, strict=True)]
        return keras.StatelessScope([*moved, *self.states], collect_losses=True)
