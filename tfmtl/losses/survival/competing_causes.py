"""Loss of a hazard for each interval and cause."""

from collections.abc import Sequence

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses.survival._grid import ended_in, lived_through, not_yet_seen
from tfmtl.losses.survival._rows import read_edges, read_rows
from tfmtl.schema.checks import error_text
from tfmtl.survival.raw_curves import log_hazards_of_causes


def competing_causes_loss(
    times: Tensor,
    events: Tensor,
    causes: Tensor,
    logits: Tensor,
    edges: Sequence[float],
    *,
    entries: Tensor | None = None,
    weights: Tensor | None = None,
    factors: Tensor | None = None,
    midpoint: bool = False,
) -> Tensor:
    """Returns the mean negative log-likelihood of times that end by one of several causes.

    In every interval that a row reaches, it lives on or ends by a cause, with probabilities `softmax([0, logits])`. A
    row that ended by cause c in interval j has the loss `-log h_jc` plus `-log(1 - sum_c h_lc)` of the intervals
    before; so an event of another cause is not censoring. With one cause the loss equals `hazard_loss`.

    Missing labels, weights, factors, midpoint: see `hazard_loss`.

    Shapes: B batch, K intervals, C causes.

    Args:
        times: `(B,)`, at least 0 or NaN. When a row ended, or until when it was observed.
        events: `(B,)`, 1 ended at its time, 0 still running then.
        causes: `(B,)`, from 0 to C - 1 where a row ended; not read elsewhere.
        logits: `(B, K, C)`, any float type.
        edges: K floats, ascending, above 0. Right edges of the intervals; the first starts at 0.
        entries: `(B,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(B,)`, at least 0. The mean is weighted. Defaults to `None`, every row counts once.
        factors: `(B,)`, at least 0. Multiplied with a row's loss, and not divided by. Defaults to `None`, none.
        midpoint: bool. A row still running also counts the interval it was last seen in if it lived through half of
            it. Defaults to `False`.

    Returns:
        float32 scalar, at least 0, in nats per row.

    Raises:
        ValueError: a shape is another, or the edges do not ascend from above 0.

    Example:

    >>> round(float(competing_causes_loss([1.0], [1.0], [1.0], [[[0.0, 0.0]]], [3.0])), 4)  # log 3
    1.0986

    Reference:
        Tutz and Schmid 2016, "Modeling discrete time-to-event data", chapter 8.
    """
    owner = "competing_causes_loss"
    left, right = read_edges(owner, edges)
    if len(logits.shape if hasattr(logits, "shape") else ops.shape(ops.convert_to_tensor(logits))) != 3:
        advice = "Give one logit for each interval and cause."
        raise ValueError(error_text(owner, "logits.shape", f"be (B, {len(right)}, C)", "another rank", advice))
    logits = ops.convert_to_tensor(logits)
    num_causes = logits.shape[2]
    shape = (len(right), num_causes)
    rows = read_rows(owner, times, events, logits, output_shape=shape, entries=entries, weights=weights)
    alive, hazards = log_hazards_of_causes(rows.logits)
    counted = lived_through(rows.times, rows.events, left, right, midpoint)
    counted *= 1.0 - not_yet_seen(rows.entries, right)
    ended = ended_in(rows.times, left, right) * rows.events[:, None] * counted
    # Compared, not cast to an index: NaN, where a row has not ended, is no cause.
    by_cause = ops.cast(ops.cast(causes, "float32")[:, None] == ops.arange(num_causes, dtype="float32"), "float32")
    own = ops.sum(hazards * by_cause[:, None, :], axis=-1)
    return rows.mean(-ops.sum(ended * own + (counted - ended) * alive, axis=1), factors)
