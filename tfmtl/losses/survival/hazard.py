"""Loss of a hazard for each interval."""

from collections.abc import Sequence

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses.survival._grid import ended_in, lived_through, not_yet_seen
from tfmtl.losses.survival._rows import read_edges, read_rows


def hazard_loss(
    times: Tensor,
    events: Tensor,
    logits: Tensor,
    edges: Sequence[float],
    *,
    entries: Tensor | None = None,
    weights: Tensor | None = None,
    factors: Tensor | None = None,
    midpoint: bool = False,
) -> Tensor:
    """Returns the mean negative log-likelihood of right-censored times under `h_k = sigmoid(logit_k)`.

    `h_k` is the chance to end in interval k for a row that reaches it. A row's loss is `sum_k m_k (softplus(a_k) - y_k
    a_k)`: a binary cross-entropy of the intervals it was observed in. One that ended in interval j counts up to j, with
    y_j = 1; one that was still running counts the intervals it lived through; one that ended beyond the last edge lived
    through all. An interval that was over when the row was first observed does not count (left truncation).

    A row whose time is NaN (no label) or whose weight is 0 changes neither the loss nor any gradient, whatever its
    logits. Where no row counts the loss is exactly 0. Computed in float32.

    Shapes: B batch, K intervals.

    Args:
        times: `(B,)`, at least 0 or NaN. When a row ended, or until when it was observed.
        events: `(B,)`, 1 ended at its time, 0 still running then.
        logits: `(B, K)`, before the sigmoid, any float type.
        edges: K floats, ascending, above 0. Right edges of the intervals; the first starts at 0.
        entries: `(B,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(B,)`, at least 0. The mean is weighted: `sum(w loss) / sum(w)`. Defaults to `None`, every row counts
            once.
        factors: `(B,)`, at least 0. Multiplied with a row's loss, and not divided by. Defaults to `None`, none.
        midpoint: bool. A row still running also counts the interval it was last seen in if it lived through half of
            it: with few wide intervals less is lost. Defaults to `False`.

    Returns:
        float32 scalar, at least 0, in nats per row.

    Raises:
        ValueError: a shape is another, or the edges do not ascend from above 0.

    Example:

    >>> round(float(hazard_loss([4.0, 3.0], [1.0, 0.0], [[0.0, 0.0], [0.0, 0.0]], [3.0, 5.0])), 4)  # 3 x log 2 / 2
    1.0397

    Reference:
        Gensheimer and Narasimhan 2019, https://arxiv.org/abs/1805.00917, section 2; its rule for censored rows is
        `midpoint`.
    """
    owner = "hazard_loss"
    left, right = read_edges(owner, edges)
    rows = read_rows(owner, times, events, logits, output_shape=right.shape, entries=entries, weights=weights)
    counted = lived_through(rows.times, rows.events, left, right, midpoint)
    counted *= 1.0 - not_yet_seen(rows.entries, right)
    ended = ended_in(rows.times, left, right) * rows.events[:, None]
    # Cells that do not count are replaced before the softplus, so that their gradient is exactly 0.
    cells = ops.where(counted > 0.0, rows.logits, 0.0)
    losses = ops.sum(counted * (ops.softplus(cells) - ended * cells), axis=1)
    return rows.mean(losses, factors)
