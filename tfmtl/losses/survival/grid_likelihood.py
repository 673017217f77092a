"""The likelihood of right-censored times by the hazards that a model answers with, whatever it was trained by."""

from collections.abc import Sequence

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses.survival._grid import ended_in, lived_through, not_yet_seen
from tfmtl.losses.survival._rows import read_edges

_LEAST = 1e-7


def grid_losses(
    times: Tensor, events: Tensor, hazards: Tensor, edges: Sequence[float], entries: Tensor | None = None
) -> Tensor:
    """Returns each row's negative log-likelihood, float32 `(B,)`, under hazards `(B, K)` in [0, 1].

    For `hazards = sigmoid(logits)` it is what `hazard_loss` is the mean of. Not for training: hazards are cut off
    1e-7 from 0 and 1. All rows count.

    Args:
        times: `(B,)`, at least 0.
        events: `(B,)`, 0 or 1.
        hazards: `(B, K)`.
        edges: K floats, ascending, above 0. Right edges of the intervals; the first starts at 0.
        entries: `(B,)`. Age from which on a row was observed. Defaults to `None`, from the start.

    Raises:
        ValueError: the edges do not ascend from above 0.

    Example:

    >>> [round(float(value), 4) for value in grid_losses([4.0], [1.0], [[0.5, 0.5]], [3.0, 5.0])]
    [1.3863]
    """
    left, right = read_edges("grid_losses", edges)
    times, events = ops.cast(times, "float32"), ops.cast(events, "float32")
    hazards = ops.clip(ops.cast(hazards, "float32"), _LEAST, 1.0 - _LEAST)
    counted = lived_through(times, events, left, right, midpoint=False)
    if entries is not None:
        counted *= 1.0 - not_yet_seen(ops.cast(entries, "float32"), right)
    ended = ended_in(times, left, right) * events[:, None] * counted
    return -ops.sum(ended * ops.log(hazards) + (counted - ended) * ops.log1p(-hazards), axis=1)
