"""Partial likelihood of proportional hazards."""

from typing import Literal

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses.survival._rows import read_rows
from tfmtl.schema.checks import check_one_of

_NEVER = -1e30


def cox_loss(
    times: Tensor,
    events: Tensor,
    log_risks: Tensor,
    *,
    entries: Tensor | None = None,
    weights: Tensor | None = None,
    factors: Tensor | None = None,
    ties: Literal["efron", "breslow"] = "efron",
) -> Tensor:
    """Returns the negative log partial likelihood of the batch, a row.

    A row that ended is compared with all of the batch that were observed at that time, its risk set: `-(r_i - log
    sum_{l in R_i} e^{r_l})`. Only differences of log risks matter. The risk set is the batch, so a small batch is a
    biased sample of it, the loss of one row is 0, and that of several replicas is not the loss of their rows together:
    use batches of 64 rows or more. Curves come with a baseline (`tfmtl.survival.breslow_baseline`). B^2 numbers are
    kept.

    Missing labels, weights, factors: see `hazard_loss`. A row of weight w counts as w rows, in risk sets too.

    Shapes: B batch.

    Args:
        times: `(B,)`, at least 0 or NaN. When a row ended, or until when it was observed.
        events: `(B,)`, 1 ended at its time, 0 still running then.
        log_risks: `(B,)`, any float type.
        entries: `(B,)`. Age from which on a row was observed. Defaults to `None`, from the start.
        weights: `(B,)`, at least 0. The sum is divided by their sum. Defaults to `None`, every row counts once.
        factors: `(B,)`, at least 0. Multiplied with the term of a row that ended. Defaults to `None`, none.
        ties: str. `"efron"` or `"breslow"`, for rows that end at one time: Efron lets them leave the risk set in
            random order, Breslow one beside the other. Defaults to `"efron"`.

    Returns:
        float32 scalar.

    Raises:
        ValueError: a shape is another, or `ties` is unknown.

    Example:

    >>> round(float(cox_loss([1.0, 2.0], [1.0, 1.0], [0.0, 0.0])), 4)  # log 2 / 2
    0.3466

    Reference:
        Cox 1972, "Regression models and life-tables"; Efron 1977, "The efficiency of Cox's likelihood function for
        censored data"; Katzman et al. 2018 (DeepSurv), https://arxiv.org/abs/1606.00931, with a network.
    """
    owner = "cox_loss"
    check_one_of(owner, "ties", ties, ("efron", "breslow"))
    rows = read_rows(owner, times, events, log_risks, output_shape=(), entries=entries, weights=weights)
    risks, ended = rows.logits, rows.events * ops.cast(rows.weights > 0.0, "float32")
    present = (rows.weights > 0.0)[None, :]
    at_risk = (rows.times[None, :] >= rows.times[:, None]) & (rows.entries[None, :] < rows.times[:, None])
    # At time 0 no row has entered before.
    at_risk = present & (at_risk | ((rows.times[:, None] == 0.0) & (rows.entries[None, :] == 0.0)))
    shifted = ops.where(at_risk, risks[None, :], _NEVER)
    highest = ops.stop_gradient(ops.max(shifted, axis=1, keepdims=True))
    highest = ops.where(highest > _NEVER / 2, highest, 0.0)
    shares = rows.weights[None, :] * ops.exp(ops.where(at_risk, risks[None, :] - highest, _NEVER))  # (B, B)
    total = ops.sum(shares, axis=1)
    if ties == "efron":
        tied = (rows.times[None, :] == rows.times[:, None]) & (ended[None, :] > 0.0) & (ended[:, None] > 0.0)
        same = ops.cast(tied, "float32")
        position = ops.arange(same.shape[0]) if same.shape[0] is not None else ops.arange(ops.shape(same)[0])
        before = ops.sum(same * ops.cast(position[None, :] < position[:, None], "float32"), axis=1)
        gone = ops.divide_no_nan(before, ops.sum(same, axis=1))
        total = total - gone * ops.sum(shares * same, axis=1)
    counts = ended > 0.0
    logs = ops.log(ops.where(counts, total, 1.0)) + highest[:, 0]
    return rows.mean(ops.where(counts, logs - risks, 0.0), factors)
