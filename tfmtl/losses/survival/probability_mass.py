"""Losses of models that spread a probability of 1 over the intervals and what is beyond them."""

from collections.abc import Sequence

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses.survival._grid import ended_in, not_yet_seen
from tfmtl.losses.survival._rows import SurvivalRows, read_edges, read_rows
from tfmtl.survival.raw_curves import log_mass, mtlr_scores

_NEVER = -1e30


def pmf_loss(
    times: Tensor,
    events: Tensor,
    logits: Tensor,
    edges: Sequence[float],
    *,
    entries: Tensor | None = None,
    weights: Tensor | None = None,
    factors: Tensor | None = None,
) -> Tensor:
    """Returns the mean negative log-likelihood under `p = softmax([logits, 0])` over K intervals and beyond.

    A row that ended in interval j has the loss `-log p_j`; one still running, that lived through the first j
    intervals, `-log sum_{l > j} p_l`; one first observed after the first v intervals is compared with those that lived
    as long: `+ log sum_{l > v} p_l`. With the same survival curve the loss equals `hazard_loss`.

    Missing labels, weights, factors: see `hazard_loss`.

    Shapes: B batch, K intervals.

    Args:
        times: `(B,)`, at least 0 or NaN. When a row ended, or until when it was observed.
        events: `(B,)`, 1 ended at its time, 0 still running then.
        logits: `(B, K)`, any float type.
        edges: K floats, ascending, above 0. Right edges of the intervals; the first starts at 0.
        entries: `(B,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(B,)`, at least 0. The mean is weighted. Defaults to `None`, every row counts once.
        factors: `(B,)`, at least 0. Multiplied with a row's loss, and not divided by. Defaults to `None`, none.

    Returns:
        float32 scalar, at least 0, in nats per row.

    Raises:
        ValueError: a shape is another, or the edges do not ascend from above 0.

    Example:

    >>> round(float(pmf_loss([4.0], [1.0], [[0.0, 0.0]], [3.0, 5.0])), 4)  # log 3
    1.0986

    Reference:
        Kvamme and Borgan 2019, https://arxiv.org/abs/1910.06724, section 3.1.
    """
    owner = "pmf_loss"
    left, right = read_edges(owner, edges)
    rows = read_rows(owner, times, events, logits, output_shape=right.shape, entries=entries, weights=weights)
    return rows.mean(mass_losses(rows, log_mass(rows.logits), left, right), factors)


def mtlr_loss(
    times: Tensor,
    events: Tensor,
    logits: Tensor,
    edges: Sequence[float],
    *,
    entries: Tensor | None = None,
    weights: Tensor | None = None,
    factors: Tensor | None = None,
) -> Tensor:
    """Returns `pmf_loss` of the scores `z_k = sum_{l >= k} logit_l`: multi-task logistic regression.

    A logit then moves the chance to end by its interval against that to live on, as a logistic regression would, and
    neighboring intervals share what they learn. Arguments: see `pmf_loss`.

    Example:

    >>> round(float(mtlr_loss([4.0], [1.0], [[0.0, 0.0]], [3.0, 5.0])), 4)
    1.0986

    Reference:
        Yu et al. 2011, "Learning patient-specific cancer survival distributions as a sequence of dependent
        regressors"; Fotso 2018, https://arxiv.org/abs/1801.05512, with a network.
    """
    owner = "mtlr_loss"
    left, right = read_edges(owner, edges)
    rows = read_rows(owner, times, events, logits, output_shape=right.shape, entries=entries, weights=weights)
    return rows.mean(mass_losses(rows, log_mass(mtlr_scores(rows.logits)), left, right), factors)


def mass_losses(rows: SurvivalRows, log_masses: Tensor, left: object, right: object) -> Tensor:
    """Returns every row's negative log-likelihood, `(B,)`.

    Args:
        rows: The batch.
        log_masses: `(B, K + 1)`, log probability of each interval and, last, of what is beyond.
        left: `(K,)`, left edges.
        right: `(K,)`, right edges.
    """
    over = not_yet_seen(rows.times, right)  # (B, K), intervals lived through
    ended = ended_in(rows.times, left, right)
    beyond = 1.0 - ops.sum(ended, axis=1, keepdims=True)
    own = ops.concatenate([ended, beyond], axis=1)
    alive = ops.concatenate([1.0 - over, ops.ones_like(beyond)], axis=1)
    possible = ops.where(rows.events[:, None] > 0.0, own, alive)
    seen = ops.concatenate([1.0 - not_yet_seen(rows.entries, right), ops.ones_like(beyond)], axis=1)
    return _log_sum(log_masses, seen) - _log_sum(log_masses, possible)


def _log_sum(log_masses: Tensor, chosen: Tensor) -> Tensor:
    return ops.logsumexp(ops.where(chosen > 0.0, log_masses, _NEVER), axis=1)
