"""The gradients and values that every kind of backward pass returns."""

from dataclasses import dataclass

import tensorflow as tf

from tfmtl.core.types import Tensor


@dataclass(frozen=True)
class StepGradients:
    """The gradients of a step, and the values of its forward pass for the metrics.

    Args:
        dense: a gradient (or `None`) for each of `ForwardPass.dense`.
        rows: width -> gradient of what was looked up, `(B, n, width)`, or that of the table, or `None`.
        raw: task -> `(B,)`, the heads' outputs.
        loss: scalar, this replica's part of the loss before balancing.
        contributions: `(T,)`, its parts of the tasks' weighted losses.
        means: `(T,)`, the tasks' own mean losses.
        weights: `(T,)`, what the losses were multiplied by before they were differentiated; `None` for nothing.
    """

    dense: list[Tensor | None]
    rows: dict[str, Tensor | tf.IndexedSlices | None]
    raw: dict[str, Tensor]
    loss: Tensor
    contributions: Tensor
    means: Tensor
    weights: Tensor | None = None


def add_gradients(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """The sum of two gradients, either of which a tape may have found to be none."""
    if one is None or other is None:
        return other if one is None else one
    return one + other
