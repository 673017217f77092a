"""Likelihood of a probability mass plus a penalty on wrongly ordered pairs."""

from collections.abc import Sequence

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses.survival._grid import ended_in
from tfmtl.losses.survival._rows import SurvivalRows, read_edges, read_rows
from tfmtl.losses.survival.probability_mass import mass_losses
from tfmtl.schema.checks import check_nonnegative_number, check_positive_number
from tfmtl.survival.raw_curves import log_mass


def deephit_loss(
    times: Tensor,
    events: Tensor,
    logits: Tensor,
    edges: Sequence[float],
    *,
    entries: Tensor | None = None,
    weights: Tensor | None = None,
    factors: Tensor | None = None,
    ranking: float = 0.2,
    temperature: float = 0.1,
) -> Tensor:
    """Returns `pmf_loss` plus `ranking` times a mean over pairs of `exp((F_j(t_i) - F_i(t_i)) / temperature)`.

    A pair is a row i that ended and a row j that was observed for longer; F is the chance to have ended by then. The
    penalty raises the time-dependent concordance and spoils the probabilities: judge such a model by its Brier score
    too. Pairs are those of the batch, so the loss of a batch is no mean over its rows, and B^2 numbers are kept.

    Missing labels, weights, factors: see `hazard_loss`. A pair weighs as much as the product of its rows.

    Shapes: B batch, K intervals.

    Args:
        times: `(B,)`, at least 0 or NaN. When a row ended, or until when it was observed.
        events: `(B,)`, 1 ended at its time, 0 still running then.
        logits: `(B, K)`, any float type.
        edges: K floats, ascending, above 0. Right edges of the intervals; the first starts at 0.
        entries: `(B,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(B,)`, at least 0. Defaults to `None`, every row counts once.
        factors: `(B,)`, at least 0. Multiplied with a row's likelihood, and not divided by. Defaults to `None`, none.
        ranking: float, at least 0. Share of the penalty. Defaults to `0.2`.
        temperature: float above 0. By how much a pair has to be apart. Defaults to `0.1`.

    Returns:
        float32 scalar, at least 0.

    Raises:
        ValueError: a shape is another, the edges do not ascend from above 0, `ranking` is negative or `temperature` not
            positive.

    Example:

    >>> round(float(deephit_loss([1.0, 4.0], [1.0, 1.0], [[0.0, 0.0], [0.0, 0.0]], [3.0, 5.0])), 4)  # log 3 + 0.2
    1.2986

    Reference:
        Lee et al. 2018, "DeepHit: a deep learning approach to survival analysis with competing risks".
    """
    owner = "deephit_loss"
    check_nonnegative_number(owner, "ranking", ranking)
    check_positive_number(owner, "temperature", temperature)
    left, right = read_edges(owner, edges)
    rows = read_rows(owner, times, events, logits, output_shape=right.shape, entries=entries, weights=weights)
    log_masses = log_mass(rows.logits)
    likelihood = rows.mean(mass_losses(rows, log_masses, left, right), factors)
    penalty = _pair_penalty(rows, ops.exp(log_masses[:, :-1]), ended_in(rows.times, left, right), temperature)
    return likelihood + ranking * penalty


def _pair_penalty(rows: SurvivalRows, masses: Tensor, ended: Tensor, temperature: float) -> Tensor:
    ended = ended * rows.events[:, None]
    # F_j at the interval that row i ended in: (B, B), one product instead of a gather.
    incidence = ops.matmul(ended, ops.transpose(ops.cumsum(masses, axis=1)))
    own = ops.sum(ended * ops.cumsum(masses, axis=1), axis=1)
    later = ops.cast(rows.times[:, None] < rows.times[None, :], "float32")
    pairs = later * (rows.weights * ops.sum(ended, axis=1))[:, None] * rows.weights[None, :]
    return ops.divide_no_nan(ops.sum(pairs * ops.exp((incidence - own[:, None]) / temperature)), ops.sum(pairs))
