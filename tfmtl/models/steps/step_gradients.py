"""What a way of differentiating returns."""

from dataclasses import dataclass

from tfmtl.core.types import Tensor


@dataclass(frozen=True)
class StepGradients:
    """The direction of a step, and what the metrics need to know of its forward pass.

    Args:
        dense: a gradient (or `None`) for each of `ForwardPass.dense`.
        rows: width -> gradient of what was looked up, `(B, n, width)`, or `None`.
        raw: task -> `(B,)`, what the heads put out.
        loss: scalar, this replica's part of the loss before balancing.
        contributions: `(T,)`, its parts of the tasks' weighted losses.
        means: `(T,)`, the tasks' own mean losses.
        weights: `(T,)`, what the losses were multiplied by before they were differentiated; `None` for nothing.
    """

    dense: list[Tensor | None]
    rows: dict[str, Tensor | None]
    raw: dict[str, Tensor]
    loss: Tensor
    contributions: Tensor
    means: Tensor
    weights: Tensor | None = None
