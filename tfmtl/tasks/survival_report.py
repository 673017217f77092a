"""Exact metrics of a survival task."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.metrics.survival import (
    RowSums,
    antolini_rows,
    auc_at_times,
    brier_scores_of_cause,
    d_calibration,
    harrell_index_of_cause,
    harrell_rows,
    index_interval,
    integrated_brier_rows,
    survival_calibration,
    uno_index,
)
from tfmtl.schema.tasks.survival import SurvivalTask
from tfmtl.survival import StepFunction, SurvivalCurves
from tfmtl.tasks.task_behavior import Floats, Report

_GRID = 100
_MOST_COMPARED = 20_000


def survival_report(
    task: SurvivalTask, state: Mapping[str, Any], labels: Mapping[str, Floats], outputs: Mapping[str, Floats]
) -> Report:
    """Metric -> value, None where it is undefined.

    `harrell` (of minus the expected lifetime), `antolini` (of the curves; None above 20,000 rows, since it compares
    every two) and `ibs` (integrated Brier score), each with the ends of its 95 % interval (`_low`, `_high`); `uno` up
    to `grid_end`; `ibs_scaled`, one minus the ratio to the training rows' Kaplan-Meier; `auc_middle`, whether a row
    ended by the middle of the grid; `nll`, in nats per row; `d_calibration_p`, the chance of so uneven a distribution
    under a calibrated model; `calibration_error`, the mean gap to Kaplan-Meier in ten groups at the middle of the grid.
    Of causes `harrell_<cause>` and `brier_<cause>` at the middle of the grid. Rows known only to end in an interval
    count as running at its start.

    Args:
        task: the task.
        state: what `fit_survival_state` returned.
        labels: part -> `(N,)`.
        outputs: suffix -> `(N, *inner)`.
    """
    known = ~np.isnan(labels[""])
    rows = int(known.sum())
    report: Report = {"rows": rows, "events": int((labels["event"][known] == 1).sum())}
    if not rows:
        return report
    times, events = labels[""][known].astype(np.float64), labels["event"][known].astype(np.float64)
    curves = _curves(task, state, outputs["survival"][known])
    survival = curves.survival
    risks = -outputs[""][known].astype(np.float64)
    censoring, grid = _censoring(state), _grid(state)
    end, middle = float(grid[-1]), _middle(grid)

    def add(name: str, index: Callable[[npt.NDArray[np.intp]], RowSums], resampled: bool = True) -> None:
        found = index_interval(index, rows, most_resampled=_MOST_COMPARED if resampled else 0)
        report.update({name: found.value, f"{name}_low": found.low, f"{name}_high": found.high})

    add("harrell", lambda kept: harrell_rows(times[kept], events[kept], risks[kept]))
    if rows <= _MOST_COMPARED:
        add("antolini", lambda kept: antolini_rows(times[kept], events[kept], curves.rows(kept)), resampled=False)
    else:
        report["antolini"] = None
    errors = integrated_brier_rows(times, events, curves, grid, censoring)
    add("ibs", lambda kept: RowSums(errors.wins[kept], errors.pairs[kept]))
    same = constant_survival(task, state)["survival"]
    plain = SurvivalCurves(curves.edges, np.broadcast_to(same, survival.shape), curves.interpolation)
    reference = integrated_brier_rows(times, events, plain, grid, censoring).value
    report["ibs_scaled"] = 1.0 - errors.value / reference if reference > 0 else None
    report["uno"] = uno_index(times, events, risks, censoring, end)
    at_middle = curves.at([middle])[:, 0]
    report["auc_middle"] = float(auc_at_times(times, events, 1.0 - at_middle, [middle], censoring)[0])
    measured = probability_measures(task, state, labels, outputs)
    report.update({name: measured[name] for name in ("nll", "d_calibration_p", "calibration_error")})
    for number, cause in enumerate(task.causes):
        incidence = outputs[f"cif_{cause}"][known].astype(np.float64)
        causes = labels["cause"][known]
        report[f"harrell_{cause}"] = harrell_index_of_cause(times, events, causes, incidence.sum(axis=1), number)
        padded = np.concatenate([np.zeros((rows, 1)), incidence], axis=1)
        place = np.append(0.0, curves.edges)
        by_middle = np.array([[np.interp(middle, place, row)] for row in padded])
        scores = brier_scores_of_cause(times, events, causes, by_middle, [middle], censoring, number)
        report[f"brier_{cause}"] = float(scores[0])
    return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in report.items()}


def probability_measures(
    task: SurvivalTask, state: Mapping[str, Any], labels: Mapping[str, Floats], outputs: Mapping[str, Floats]
) -> dict[str, float]:
    """What `survival_report` says of the probabilities: `ibs`, `nll`, `d_calibration_p` and `calibration_error`."""
    known = ~np.isnan(labels[""])
    rows = int(known.sum())
    times, events = labels[""][known].astype(np.float64), labels["event"][known].astype(np.float64)
    curves, grid = _curves(task, state, outputs["survival"][known]), _grid(state)
    entries = np.nan_to_num(labels["entry"][known].astype(np.float64)) if "entry" in labels else np.zeros(rows)
    middle = _middle(grid)
    groups = survival_calibration(times, events, curves.at([middle])[:, 0], middle)
    return {
        "ibs": integrated_brier_rows(times, events, curves, grid, _censoring(state)).value,
        "nll": _nll(times, events, entries, curves.survival, curves.edges),
        "d_calibration_p": d_calibration(times, events, curves).p_value,
        "calibration_error": sum(group.rows * abs(group.predicted - group.observed) for group in groups) / rows,
    }


def constant_survival(task: SurvivalTask, state: Mapping[str, Any]) -> dict[str, Any]:
    """Suffix -> the output of a model without features: the Kaplan-Meier curve of the training rows."""
    hazards = np.asarray(state["hazards"], np.float64).reshape(len(state["edges"]), -1)
    total = hazards.sum(axis=1)
    survival = np.clip(np.cumprod(1.0 - total), 0.0, 1.0)
    curve = SurvivalCurves(np.asarray(state["edges"]), survival[None], task.interpolation)  # type: ignore[arg-type]
    before = np.append(1.0, survival[:-1])
    incidence = np.cumsum(hazards * before[:, None], axis=0)
    return {
        "": float(curve.expected_lifetime()[0]),
        "survival": survival,
        "hazard": total,
        "median": float(curve.median_lifetime()[0]),
        **{f"cif_{cause}": incidence[:, number] for number, cause in enumerate(task.causes)},
    }


def _nll(times: Floats, events: Floats, entries: Floats, survival: Floats, edges: Floats) -> float:
    """Mean negative log-likelihood on the grid: what the intervals say of each row, given that it was seen."""
    padded = np.concatenate([np.ones((len(times), 1)), survival], axis=1)
    row = np.arange(len(times))
    lived = padded[row, np.searchsorted(edges, times, side="right")]
    interval = np.searchsorted(edges, times, side="left")
    ended = padded[row, np.minimum(interval, len(edges) - 1)] - padded[row, np.minimum(interval + 1, len(edges))]
    likelihood = np.where((events == 1) & (interval < len(edges)), ended, lived)
    seen = padded[row, np.searchsorted(edges, entries, side="right")]
    return float(np.mean(np.log(np.maximum(seen, 1e-30)) - np.log(np.maximum(likelihood, 1e-30))))


def _curves(task: SurvivalTask, state: Mapping[str, Any], survival: Floats) -> SurvivalCurves:
    falling = np.minimum.accumulate(np.clip(survival.astype(np.float64), 0.0, 1.0), axis=1)
    return SurvivalCurves(np.asarray(state["edges"]), falling, task.interpolation)  # type: ignore[arg-type]


def _censoring(state: Mapping[str, Any]) -> StepFunction:
    return StepFunction(np.asarray(state["censoring"]["times"]), np.asarray(state["censoring"]["values"]), 1.0)


def _grid(state: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """The times over which the Brier score is integrated."""
    return np.linspace(0.0, min(float(state["grid_end"]), float(state["edges"][-1])), _GRID + 1)[1:]


def _middle(grid: npt.NDArray[np.float64]) -> float:
    return float(grid[len(grid) // 2 - 1])
