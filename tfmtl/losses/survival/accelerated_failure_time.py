"""Loss of models in which features stretch time."""

import math

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses.survival._rows import read_rows
from tfmtl.losses.survival.interval_censored import interval_losses
from tfmtl.schema.checks import check_one_of
from tfmtl.survival.raw_curves import (
    DISTRIBUTIONS,
    LEAST_TIME,
    Distribution,
    location_and_scale,
    log_survival_of_deviation,
    steep_exp,
)


def aft_loss(
    times: Tensor,
    events: Tensor,
    outputs: Tensor,
    *,
    distribution: Distribution = "normal",
    upper: Tensor | None = None,
    entries: Tensor | None = None,
    weights: Tensor | None = None,
    factors: Tensor | None = None,
) -> Tensor:
    """Returns the mean negative log-likelihood of `log t = mu + sigma z`, z of a fixed distribution.

    A row has the loss `-e (log f(z) - log sigma - log t) - (1 - e) log S(z)`. Lifetimes are log-normal (`"normal"`),
    log-logistic (`"logistic"`) or Weibull (`"extreme"`, the least of many). `mu` is the first output and `sigma =
    softplus(second) + 0.001`. Times below 1e-6 count as that.

    Missing labels, weights, factors: see `hazard_loss`.

    Shapes: B batch.

    Args:
        times: `(B,)`, at least 0 or NaN. When a row ended, or until when it was observed.
        events: `(B,)`, 1 ended at its time, 0 still running then.
        outputs: `(B, 2)`, any float type. Location of log time, and scale before the softplus.
        distribution: str. `"normal"`, `"logistic"` or `"extreme"`. Defaults to `"normal"`.
        upper: `(B,)`, above `times`. Where it is finite the event lies in (time, upper], whatever `events` says.
            Defaults to `None`, no interval censoring.
        entries: `(B,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(B,)`, at least 0. The mean is weighted. Defaults to `None`, every row counts once.
        factors: `(B,)`, at least 0. Multiplied with a row's loss, and not divided by. Defaults to `None`, none.

    Returns:
        float32 scalar, in nats per row; may be negative, as densities may be above 1.

    Raises:
        ValueError: a shape is another, or the distribution is unknown.

    Example:

    >>> round(float(aft_loss([1.0], [0.0], [[0.0, 0.0]])), 4)  # half live longer than e^mu
    0.6931

    Reference:
        Barnwal et al. 2022, https://arxiv.org/abs/2006.04920, table 1.
    """
    owner = "aft_loss"
    check_one_of(owner, "distribution", distribution, DISTRIBUTIONS)
    rows = read_rows(owner, times, events, outputs, output_shape=(2,), entries=entries, weights=weights)
    location, scale = location_and_scale(rows.logits)
    logs = ops.log(ops.maximum(rows.times, LEAST_TIME))
    deviation = (logs - location) / scale
    alive = log_survival_of_deviation(deviation, distribution)
    density = _log_density(deviation, distribution) - ops.log(scale) - logs
    entered = rows.entries > 0.0
    entry = (ops.log(ops.where(entered, rows.entries, 1.0)) - location) / scale
    at_entry = ops.where(entered, log_survival_of_deviation(ops.where(entered, entry, 0.0), distribution), 0.0)
    losses = at_entry - ops.where(rows.events > 0.0, density, alive)
    if upper is not None:
        bound = ops.cast(upper, "float32")
        known = (bound < math.inf) & (rows.weights > 0.0)  # False for NaN
        end = (ops.log(ops.maximum(ops.where(known, bound, 1.0), LEAST_TIME)) - location) / scale
        started = ops.where(rows.times > 0.0, alive, 0.0)  # left censoring: all live at time 0
        between = interval_losses(at_entry, started, log_survival_of_deviation(end, distribution), known)
        losses = ops.where(known, between, losses)
    return rows.mean(losses, factors)


def _log_density(deviation: Tensor, distribution: Distribution) -> Tensor:
    if distribution == "logistic":
        return -deviation - 2.0 * ops.softplus(-deviation)
    if distribution == "extreme":
        return deviation - steep_exp(deviation)
    return -0.5 * ops.square(deviation) - 0.5 * math.log(2.0 * math.pi)
