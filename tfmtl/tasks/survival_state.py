"""What a survival model has to know of the training labels: intervals, first hazards, how rows were censored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tfmtl.schema.tasks.survival import SurvivalTask
from tfmtl.survival import (
    CutPoints,
    StepFunction,
    censoring_curve,
    equal_cuts,
    given_cuts,
    kaplan_meier,
    median_follow_up,
    quantile_cuts,
    survival_quantile_cuts,
)

_DEFAULT_CUTS = 20
_CURVE_POINTS = 500
_GRID_QUANTILE = 0.9


def fit_survival_state(task: SurvivalTask, counts: pa.Table | None) -> dict[str, Any]:
    """Facts of the training labels, ready for JSON.

    `edges`, `hazards` (a list by cause of several), `asked` (how many intervals), `events` and `at_risk` by interval,
    `events_total`, `rows`, `at_time_0` (events), `median_follow_up` (None where most ended), `censoring` (the curve G,
    at 500 points at most) and `grid_end`, the 0.9 quantile of the times, to which the Brier score is integrated.

    Args:
        task: the task.
        counts: different labels of the training examples with their `count`: `value` (the time), `event`, `entry`,
            `cause`. None where there are none.

    Raises:
        ValueError: no training row has ended, or none in the first interval.
    """
    owner = f"SurvivalTask '{task.name}'"
    if counts is None or not counts.num_rows:
        raise ValueError(f"{owner}: the training split must hold labels. Received: none. Check the split.")
    columns = {name: counts[name].to_numpy().astype(np.float64) for name in counts.column_names}
    times, events, weights = columns["value"], columns["event"], columns["count"]
    order = np.lexsort((events, times))  # tables come in any order, and sums of floats should not depend on it
    times, events, weights = times[order], events[order], weights[order]
    entries = columns["entry"][order] if "entry" in columns else None
    if entries is not None:  # rounded to 16 bits as the times are, an entry may meet its time
        entries = np.where(entries >= times, np.nan, entries)
    if not (events * weights).any():
        raise ValueError(
            f"{owner}: the training split must hold rows that ended. Received: {weights.sum():.0f} rows, none with "
            f"{task.event}=1. Check that column, or train on a longer log."
        )
    cuts = _cuts(task, times, events, entries, weights)
    if cuts.events[0] == 0:
        raise ValueError(
            f"{owner}: the first interval must hold training rows that ended. Received: none in (0, "
            f"{cuts.edges[0]:g}]. Let it end later, or use `survival_quantiles`."
        )
    follow_up = median_follow_up(times, events, weights=weights)
    return {
        "edges": [float(edge) for edge in cuts.edges],
        "hazards": _hazards(task, cuts, columns, order, entries),
        "asked": cuts.asked,
        "events": [round(value) for value in cuts.events],
        "at_risk": [round(value) for value in cuts.at_risk],
        "events_total": round(float((events * weights).sum())),
        "rows": round(float(weights.sum())),
        "at_time_0": round(float((events * weights)[times == 0].sum())),
        "median_follow_up": None if np.isnan(follow_up) else follow_up,
        "censoring": _thin(censoring_curve(times, events, weights=weights)),
        "grid_end": _quantile(times, weights, _GRID_QUANTILE),
    }


def survival_warnings(task: SurvivalTask, state: Mapping[str, Any]) -> list[str]:
    """What a user should know of the fitted intervals."""
    edges, warnings = state["edges"], []
    if len(edges) < state["asked"]:
        warnings.append(
            f"task '{task.name}': {len(edges)} intervals in place of {state['asked']}: too many times are equal"
        )
    starts = [0.0, *edges[:-1]]
    empty = [f"({a:g}, {b:g}]" for a, b, events in zip(starts, edges, state["events"], strict=True) if events == 0]
    if empty:
        warnings.append(
            f"task '{task.name}': no training row ended in {', '.join(empty)}: its hazard cannot be learned"
        )
    if state["at_time_0"]:
        rows = state["at_time_0"]
        warnings.append(f"task '{task.name}': {rows} training rows ended at time 0; they count to the first interval")
    return warnings


def _cuts(task: SurvivalTask, times: Any, events: Any, entries: Any, weights: Any) -> CutPoints:
    more = {"entries": entries, "weights": weights}
    if task.intervals:
        return given_cuts(task.intervals, times, events, **more)
    if task.quantiles:
        return quantile_cuts(task.quantiles, times, events, **more)
    if task.equal:
        return equal_cuts(task.equal, times, events, **more)
    return survival_quantile_cuts(task.survival_quantiles or _DEFAULT_CUTS, times, events, **more)


def _hazards(task: SurvivalTask, cuts: CutPoints, columns: Any, order: Any, entries: Any) -> list[Any]:
    """The share of an interval's rows that end in it, by Kaplan-Meier; of several causes, split as its events are."""
    times, events, weights = (columns[name][order] for name in ("value", "event", "count"))
    survival = np.append(1.0, kaplan_meier(times, events, entries=entries, weights=weights).at(cuts.edges))
    hazards = 1.0 - survival[1:] / np.maximum(survival[:-1], 1e-12)
    if not task.causes:
        return [float(value) for value in hazards]
    interval = np.searchsorted(cuts.edges, times)
    causes, inside = columns["cause"][order], interval < len(cuts.edges)
    shares = np.stack(
        [
            np.bincount(interval[inside & (causes == k)], weights[inside & (causes == k)], len(cuts.edges))
            for k in range(len(task.causes))
        ],
        axis=1,
    )
    totals = shares.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, shares / np.maximum(totals, 1.0), 1.0 / len(task.causes))
    return [[float(value) for value in row] for row in hazards[:, None] * shares]


def _thin(curve: StepFunction) -> dict[str, list[float]]:
    """A step function at so few of its jumps that it is off by at most 1 / 500 of its fall."""
    if len(curve.times) > _CURVE_POINTS:
        level = np.floor((1.0 - curve.values) / max(1.0 - curve.values[-1], 1e-12) * _CURVE_POINTS)
        kept = np.append(np.flatnonzero(np.diff(level)), len(level) - 1)
        curve = StepFunction(curve.times[kept], curve.values[kept], curve.start)
    return {"times": curve.times.tolist(), "values": curve.values.tolist()}


def _quantile(times: Any, weights: Any, share: float) -> float:
    """The smallest time that a share of the rows does not exceed; `times` ascend."""
    return float(times[np.searchsorted(np.cumsum(weights), share * weights.sum())])
