"""Exact metrics of a survival task, and how far some of them could be off by chance."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

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
from tfmtl.tasks.survival_curves import censoring_of, constant_curves, curves_of, time_grid, times_of
from tfmtl.tasks.task_behavior import Floats, Report

_GRID = 100
_MOST_COMPARED = 20_000


def survival_report(
    task: SurvivalTask, state: Mapping[str, Any], labels: Mapping[str, Floats], outputs: Mapping[str, Floats]
) -> Report:
    """Metric -> value, None where it is undefined.

    `harrell` (of minus the expected lifetime), `antolini` (of the curves; None above 20,000 rows, since it compares
    every two) and `ibs` (integrated Brier score); `uno` up to `grid_end`; `ibs_scaled`, one minus the ratio to the
    training rows' Kaplan-Meier; `auc_middle`, whether a row ended by the middle of the grid; `nll`, in nats per row;
    `d_calibration_p`, the chance of so uneven a distribution under a calibrated model; `calibration_error`, the mean
    gap to Kaplan-Meier in ten groups at the middle of the grid.
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
    times, events = times_of(labels, known)
    curves = curves_of(task, state, outputs["survival"][known])
    risks = -outputs[""][known].astype(np.float64)
    censoring, grid = censoring_of(state), time_grid(state, _GRID)
    measured = probability_measures(task, state, labels, outputs)
    report["harrell"] = harrell_rows(times, events, risks).value
    report["antolini"] = antolini_rows(times, events, curves).value if rows <= _MOST_COMPARED else None
    report["ibs"] = measured["ibs"]
    reference = integrated_brier_rows(times, events, constant_curves(task, state, rows), grid, censoring).value
    report["ibs_scaled"] = 1.0 - measured["ibs"] / reference if reference > 0 else None
    report["uno"] = uno_index(times, events, risks, censoring, float(grid[-1]))
    middle = _middle(grid)
    at_middle = curves.at([middle])[:, 0]
    report["auc_middle"] = float(auc_at_times(times, events, 1.0 - at_middle, [middle], censoring)[0])
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
    times, events = times_of(labels, known)
    curves, grid = curves_of(task, state, outputs["survival"][known]), time_grid(state, _GRID)
    entries = np.nan_to_num(labels["entry"][known].astype(np.float64)) if "entry" in labels else np.zeros(rows)
    middle = _middle(grid)
    groups = survival_calibration(times, events, curves.at([middle])[:, 0], middle)
    return {
        "ibs": integrated_brier_rows(times, events, curves, grid, censoring_of(state)).value,
        "nll": _nll(times, events, entries, curves.survival, curves.edges),
        "d_calibration_p": d_calibration(times, events, curves).p_value,
        "calibration_error": sum(group.rows * abs(group.predicted - group.observed) for group in groups) / rows,
    }


def _middle(grid: Floats) -> float:
    return float(grid[len(grid) // 2 - 1])


def survival_ends(
    task: SurvivalTask, state: Mapping[str, Any], labels: Mapping[str, Floats], outputs: Mapping[str, Floats]
) -> dict[str, tuple[float, float]]:
    """Metric -> ends of its 95 % interval: of `harrell` and `ibs` over drawn rows, of `antolini` by the jackknife.

    An index that no draw defines is left out. Arguments: see `survival_report`.
    """
    known = ~np.isnan(labels[""])
    rows = int(known.sum())
    if not rows:
        return {}
    times, events = times_of(labels, known)
    risks = -outputs[""][known].astype(np.float64)
    curves = curves_of(task, state, outputs["survival"][known])
    errors = integrated_brier_rows(times, events, curves, time_grid(state, _GRID), censoring_of(state))
    found = {
        "harrell": index_interval(lambda kept: harrell_rows(times[kept], events[kept], risks[kept]), rows),
        "ibs": index_interval(lambda kept: RowSums(errors.wins[kept], errors.pairs[kept]), rows),
    }
    if rows <= _MOST_COMPARED:
        found["antolini"] = index_interval(
            lambda kept: antolini_rows(times[kept], events[kept], curves.rows(kept)), rows, most_resampled=0
        )
    return {name: (each.low, each.high) for name, each in found.items() if not math.isnan(each.low)}


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
