"""Loss of events known only to lie between two times."""

from collections.abc import Sequence

import numpy as np
from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses.survival._rows import read_edges, read_rows
from tfmtl.schema.checks import check_one_of
from tfmtl.survival.interpolation import INTERPOLATIONS, Interpolation, log_survival_at

_LEAST = 1e-7


def interval_censored_loss(
    lower: Tensor,
    upper: Tensor,
    log_survival: Tensor,
    edges: Sequence[float],
    *,
    interpolation: Interpolation = "constant_density",
    entries: Tensor | None = None,
    weights: Tensor | None = None,
    factors: Tensor | None = None,
) -> Tensor:
    """Returns the mean of `-log(S(lower) - S(upper))`, for any model with a survival curve on a grid.

    `upper` of infinity, or beyond the last edge, where the model knows nothing, is right censoring: `-log S(lower)`;
    `lower` of 0 is left censoring. As `upper` approaches `lower` the loss approaches that of an event, up to the
    interval's width; exactly known events belong into the model's own loss.

    Missing labels (a lower bound of NaN), weights, factors: see `hazard_loss`.

    Shapes: B batch, K intervals.

    Args:
        lower: `(B,)`, at least 0 or NaN. The row was still running then.
        upper: `(B,)`, above `lower`; infinite or NaN where it was running when last seen.
        log_survival: `(B, K)`, log S at the right edges, not rising.
        edges: K floats, ascending, above 0. Right edges of the intervals; the first starts at 0.
        interpolation: str. `"constant_density"` or `"constant_hazard"`, inside an interval. Defaults to
            `"constant_density"`.
        entries: `(B,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(B,)`, at least 0. The mean is weighted. Defaults to `None`, every row counts once.
        factors: `(B,)`, at least 0. Multiplied with a row's loss, and not divided by. Defaults to `None`, none.

    Returns:
        float32 scalar, at least 0, in nats per row.

    Raises:
        ValueError: a shape is another, the edges do not ascend from above 0, or the interpolation is unknown.

    Example:

    >>> round(float(interval_censored_loss([0.0], [2.0], [[-0.6931472, -2.0]], [2.0, 4.0])), 4)  # S(0) - S(2) = 1/2
    0.6931

    Reference:
        Turnbull 1976, "The empirical distribution function with arbitrarily grouped, censored and truncated data".
    """
    owner = "interval_censored_loss"
    check_one_of(owner, "interpolation", interpolation, INTERPOLATIONS)
    _, right = read_edges(owner, edges)
    rows = read_rows(
        owner, lower, ops.zeros_like(lower), log_survival, output_shape=right.shape, entries=entries, weights=weights
    )
    bound = ops.cast(upper, "float32")
    known = ops.logical_and(bound <= float(right[-1]), rows.weights > 0.0)  # False for NaN
    ends = ops.where(known, bound, float(right[-1]))
    times = ops.stack([rows.entries, rows.times, ends], axis=1)
    logs = log_survival_at(ops, rows.logits, np.asarray(right), times, interpolation)
    return rows.mean(interval_losses(logs[:, 0], logs[:, 1], logs[:, 2], known), factors)


def interval_losses(at_entry: Tensor, at_lower: Tensor, at_upper: Tensor, known: Tensor) -> Tensor:
    """Returns `log S(entry) - log(S(lower) - S(upper))`, `(B,)`, where `known`, else `log S(entry) - log S(lower)`.

    Args:
        at_entry: `(B,)`, log S when a row was first observed.
        at_lower: `(B,)`, log S at the lower bound.
        at_upper: `(B,)`, log S at the upper bound.
        known: bool `(B,)`. Whether there is an upper bound.
    """
    fall = ops.maximum(ops.where(known, at_lower - at_upper, 1.0), _LEAST)
    # log(1 - e^-x), each form where it keeps its digits (Maechler 2012, "Accurately computing log(1 - exp(-|a|))").
    small = fall < float(np.log(2.0))
    near = ops.log(-ops.expm1(-ops.where(small, fall, 0.5)))
    far = ops.log1p(-ops.exp(-ops.where(small, 1.0, fall)))
    return at_entry - at_lower - ops.where(known, ops.where(small, near, far), 0.0)
