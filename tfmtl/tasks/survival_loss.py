"""The loss of each model of a survival task."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.losses.survival import (
    aft_loss,
    competing_causes_loss,
    cox_loss,
    deephit_loss,
    hazard_loss,
    interval_censored_loss,
    mtlr_loss,
    piecewise_hazard_loss,
    pmf_loss,
)
from tfmtl.schema.tasks.survival import SurvivalTask

_PLAIN = {"piecewise_hazard": piecewise_hazard_loss, "pmf": pmf_loss, "mtlr": mtlr_loss}


def survival_loss(
    task: SurvivalTask, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None
) -> Tensor:
    """Returns the mean over known rows by weight, a float32 scalar.

    Args:
        task: the task.
        head: its `SurvivalHead`.
        labels: part -> float32 `(B,)`.
        raw: the head's output.
        weights: `(B,)` or None.
    """
    times, events = labels[""], labels["event"]
    more: dict[str, Any] = {"entries": labels.get("entry"), "weights": weights}
    if task.model == "aft":
        return aft_loss(times, events, raw, distribution=head.distribution, upper=labels.get("upper"), **more)
    if task.model == "cox":
        return cox_loss(times, events, raw, **more)
    if task.causes:
        return competing_causes_loss(times, events, labels["cause"], raw, head.edges, midpoint=task.midpoint, **more)
    if "upper" in labels:
        return _with_intervals(task, head, labels, raw, weights)
    return _exact(task, head, times, events, raw, more)


def _exact(task: SurvivalTask, head: Any, times: Tensor, events: Tensor, raw: Tensor, more: dict[str, Any]) -> Tensor:
    if task.model == "hazard":
        return hazard_loss(times, events, raw, head.edges, midpoint=task.midpoint, **more)
    if task.model == "deephit":
        return deephit_loss(times, events, raw, head.edges, ranking=task.ranking, **more)
    return _PLAIN[task.model](times, events, raw, head.edges, **more)


def _with_intervals(
    task: SurvivalTask, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None
) -> Tensor:
    """Rows whose event lies in an interval have a loss of their own; the mean is over all rows together."""
    times = labels[""]
    is_interval = tf.logical_not(tf.math.is_nan(labels["upper"]))
    known = tf.logical_not(tf.math.is_nan(times))
    all_weights = tf.where(known, tf.ones_like(times) if weights is None else tf.cast(weights, tf.float32), 0.0)
    inside, outside = (tf.where(rows, all_weights, 0.0) for rows in (is_interval, tf.logical_not(is_interval)))
    entries = labels.get("entry")
    exact = _exact(task, head, times, labels["event"], raw, {"entries": entries, "weights": outside})
    curve = head.log_survival(tf.where(inside[:, None] > 0.0, raw, 0.0))
    between = interval_censored_loss(
        times, labels["upper"], curve, head.edges, interpolation=head.interpolation, entries=entries, weights=inside
    )
    share = tf.math.divide_no_nan(tf.reduce_sum(inside), tf.reduce_sum(all_weights))
    return share * between + (1.0 - share) * exact
