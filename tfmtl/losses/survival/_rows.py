"""Rows of survival losses: leave out those without a label, and take the mean of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import error_text


@dataclass(frozen=True)
class SurvivalRows:
    """The rows of a batch, those that do not count replaced by harmless ones.

    Replaced before the loss, not only weighted by 0 after it: 0 times NaN is NaN, in the gradient as in the value.

    Shapes: B batch.

    Args:
        times: float32 `(B,)`, at least 0.
        events: float32 `(B,)`, 0 or 1.
        entries: float32 `(B,)`, 0 for the start.
        logits: float32, the model's raw output.
        weights: float32 `(B,)`, 0 where a row does not count.
    """

    times: Tensor
    events: Tensor
    entries: Tensor
    logits: Tensor
    weights: Tensor

    def mean(self, losses: Tensor, factors: Tensor | None = None) -> Tensor:
        """Returns the weighted mean of `losses` `(B,)`; 0 where no row counts.

        Args:
            losses: float32 `(B,)`.
            factors: `(B,)` or None, multiplied with the losses but not part of the divisor.
        """
        if factors is not None:
            losses = losses * ops.where(self.weights > 0.0, ops.cast(factors, "float32"), 0.0)
        return ops.divide_no_nan(ops.sum(self.weights * losses), ops.sum(self.weights))


def read_rows(
    owner: str,
    times: Tensor,
    events: Tensor,
    logits: Tensor,
    *,
    output_shape: tuple[int, ...],
    entries: Tensor | None = None,
    weights: Tensor | None = None,
) -> SurvivalRows:
    """Returns the checked rows; one whose time is NaN, or whose weight is 0, does not count.

    Args:
        owner: str. The loss, named in errors.
        times: `(B,)`.
        events: `(B,)`.
        logits: `(B, *output_shape)`.
        output_shape: Shape of one row's raw output.
        entries: `(B,)` or None; NaN and less than 0 are the start.
        weights: `(B,)` or None.
    """
    logits = ops.cast(logits, "float32")
    if tuple(logits.shape[1:]) != output_shape:
        shape = ", ".join(["B", *(str(size) for size in output_shape)])
        advice = "A head and its loss need the same intervals; a model with others cannot be loaded into this one."
        raise ValueError(error_text(owner, "logits.shape", f"be ({shape})", tuple(logits.shape), advice))
    times = _as_vector(owner, "times", times, logits)
    present = ops.logical_not(ops.isnan(times))
    row_weights = ops.cast(present, "float32")
    if weights is not None:
        row_weights = ops.where(present, _as_vector(owner, "weights", weights, logits), 0.0)
    counts = ops.not_equal(row_weights, 0.0)
    entries = ops.zeros_like(times) if entries is None else _as_vector(owner, "entries", entries, logits)
    shown = ops.reshape(counts, (-1,) + (1,) * len(output_shape))
    return SurvivalRows(
        ops.where(counts, times, 1.0),
        ops.where(counts, _as_vector(owner, "events", events, logits), 0.0),
        ops.where(ops.logical_and(counts, entries > 0.0), entries, 0.0),
        ops.where(shown, logits, 0.0),
        row_weights,
    )


def read_edges(owner: str, edges: Sequence[float]) -> tuple[Any, Any]:
    """Returns left and right edges of the intervals, float32 `(K,)`; the first starts at 0."""
    right = np.asarray(edges, np.float32)
    if right.ndim != 1 or not right.size or right[0] <= 0 or not (np.diff(right) > 0).all():
        advice = "List the right edges of the intervals, as [3, 5, 7, 10]."
        raise ValueError(error_text(owner, "edges", "ascend from above 0", list(edges), advice))
    return np.append(np.float32(0.0), right[:-1]), right


def _as_vector(owner: str, argument: str, values: Tensor, logits: Tensor) -> Tensor:
    vector = ops.cast(values, "float32")
    size, batch = (vector.shape[0] if len(vector.shape) else None), logits.shape[0]
    if len(vector.shape) != 1 or (None not in (size, batch) and size != batch):
        # (B,) against (B, 1) would otherwise broadcast to (B, B) silently.
        advice = "Pass one value for each row of `logits`."
        raise ValueError(error_text(owner, f"{argument}.shape", "be (B,)", tuple(vector.shape), advice))
    return vector
