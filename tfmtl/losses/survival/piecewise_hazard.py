"""Loss of a hazard rate that is constant in each interval."""

from collections.abc import Sequence

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses.survival._grid import ended_in
from tfmtl.losses.survival._rows import read_edges, read_rows

_LINEAR = -15.0


def piecewise_hazard_loss(
    times: Tensor,
    events: Tensor,
    logits: Tensor,
    edges: Sequence[float],
    *,
    entries: Tensor | None = None,
    weights: Tensor | None = None,
    factors: Tensor | None = None,
) -> Tensor:
    """Returns the mean negative log-likelihood of exact times under a piecewise constant hazard rate.

    The hazard adds up to `eta_k = softplus(logit_k)` over interval k, and a row's loss is `sum_k eta_k rho_k - e log
    eta_j`, with rho_k the share of interval k in which it was observed and j the interval it ended in. (The density is
    eta_j over the interval's width, a constant left out here.) Nothing is lost to rounding of times, entries need
    nothing extra, and a row cut into (0, s] and (s, t] has the same loss as the whole: features may change between.

    Missing labels, weights, factors: see `hazard_loss`.

    Shapes: B batch, K intervals.

    Args:
        times: `(B,)`, at least 0 or NaN. When a row ended, or until when it was observed. What is beyond the last edge
            counts as still running there.
        events: `(B,)`, 1 ended at its time, 0 still running then.
        logits: `(B, K)`, before the softplus, any float type.
        edges: K floats, ascending, above 0. Right edges of the intervals; the first starts at 0.
        entries: `(B,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(B,)`, at least 0. The mean is weighted. Defaults to `None`, every row counts once.
        factors: `(B,)`, at least 0. Multiplied with a row's loss, and not divided by. Defaults to `None`, none.

    Returns:
        float32 scalar, in nats per row; may be negative.

    Raises:
        ValueError: a shape is another, or the edges do not ascend from above 0.

    Example:

    >>> round(float(piecewise_hazard_loss([1.0], [0.0], [[0.0]], [2.0])), 4)  # half an interval of log 2
    0.3466

    Reference:
        Kvamme and Borgan 2019, https://arxiv.org/abs/1910.06724, section 4 (PC-Hazard).
    """
    owner = "piecewise_hazard_loss"
    left, right = read_edges(owner, edges)
    rows = read_rows(owner, times, events, logits, output_shape=right.shape, entries=entries, weights=weights)
    since = ops.maximum(rows.entries[:, None], left)
    observed = ops.maximum(ops.minimum(rows.times[:, None], right) - since, 0.0) / (right - left)
    ended = ended_in(rows.times, left, right) * rows.events[:, None]
    cumulative = ops.softplus(rows.logits)
    losses = ops.sum(observed * cumulative - ended * _log_softplus(rows.logits, cumulative), axis=1)
    return rows.mean(losses, factors)


def _log_softplus(logits: Tensor, softplus: Tensor) -> Tensor:
    """Returns log(softplus(a)), which is a itself where e^a is below float32's resolution of 1."""
    small = logits < _LINEAR
    return ops.where(small, logits, ops.log(ops.where(small, 1.0, softplus)))
