"""What a page shows of the survival tasks of a model: facts and pictures, from predictions of a split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tfmtl.core.label_parts import label_parts
from tfmtl.data import PreparedData
from tfmtl.metrics.survival import auc_at_times, brier_scores, d_calibration
from tfmtl.report.survival_figures import d_calibration_figure, over_time_figure, risk_groups_figure
from tfmtl.survival import SurvivalCurves, kaplan_meier
from tfmtl.tasks.survival_curves import censoring_of, constant_curves, curves_of, time_grid, times_of

_GRID = 50
_GROUPS = 4
_FEWEST = 20  # rows, of which curves of groups are drawn


@dataclass(frozen=True)
class SurvivalSection:
    """The part of a page about survival tasks; the template `survival_section.html` shows it.

    Attributes:
        tasks: a mapping for each task, with `name`, `rows`, `events`, `metrics` and `constant` (metric -> value) and,
            where there are rows enough, the names of its pictures.
        disagreements: `(task, other task, time, mean difference of survival)` of tasks with one lifetime.
        pictures: name -> figure.
    """

    tasks: list[dict[str, Any]]
    disagreements: list[tuple[str, str, float, float]]
    pictures: dict[str, Figure] = field(default_factory=dict)


def survival_section(
    data: PreparedData,
    predicted: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, Any]],
    intervals: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> SurvivalSection:
    """Curves by risk group beside Kaplan-Meier, Brier score and AUC over time, D-calibration.

    Args:
        data: `PreparedData`.
        predicted: what `tfmtl.training.predict` returned of a split.
        metrics: what `tfmtl.training.evaluate.metrics_of` returned of it.
        intervals: task -> metric -> `low` and `high`, as far as there are some.
    """
    tasks: list[Any] = [task for task in data.problem.tasks if task.has_curve]
    found = SurvivalSection([], [])
    curves = {}
    for task in tasks:
        state = data.inputs.task_state[task.name]
        labels = label_parts(task, predicted["labels"])
        known = ~np.isnan(labels[""])
        curves[task.name] = curves_of(task, state, predicted["predictions"][task.key("survival")])
        own = {name: value for name, value in metrics[task.name].items() if not isinstance(value, Mapping)}
        facts = {
            "name": task.name,
            "rows": own.pop("rows", int(known.sum())),
            "events": own.pop("events", None),
            "metrics": own,
            "intervals": intervals[task.name],
            "constant": metrics[task.name].get("baseline", {}),
        }
        if known.sum() >= _FEWEST:
            pictures = _pictures(data, task, labels, curves[task.name], known)
            found.pictures.update({f"{task.name}_{name}": figure for name, figure in pictures.items()})
            facts["pictures"] = {name: f"{task.name}_{name}" for name in pictures}
        found.tasks.append(facts)
    for one, other in combinations(tasks, 2):
        if one.label_columns == other.label_columns:
            end = float(min(curves[one.name].edges[-1], curves[other.name].edges[-1]))
            apart = np.abs(curves[one.name].at([end]) - curves[other.name].at([end]))
            found.disagreements.append((one.name, other.name, end, float(apart.mean()) if len(apart) else 0.0))
    return found


def _pictures(
    data: PreparedData, task: Any, labels: Mapping[str, np.ndarray], every: SurvivalCurves, known: np.ndarray
) -> dict[str, Figure]:
    state = data.inputs.task_state[task.name]
    times, events = times_of(labels, known)
    curves = every.rows(known)
    grid, censoring = time_grid(state, _GRID), censoring_of(state)
    survival = curves.at(grid)
    order = np.argsort(curves.expected_lifetime(), kind="stable")
    groups = np.array_split(order, _GROUPS)
    plain = constant_curves(task, state, len(curves))
    return {
        "groups": risk_groups_figure(
            grid,
            np.stack([survival[group].mean(axis=0) for group in groups]),
            [kaplan_meier(times[group], events[group]) for group in groups],
        ),
        "over_time": over_time_figure(
            grid,
            {
                "model": brier_scores(times, events, curves, grid, censoring),
                "Kaplan-Meier": brier_scores(times, events, plain, grid, censoring),
            },
            auc_at_times(times, events, 1.0 - survival, grid, censoring),
        ),
        "d_calibration": d_calibration_figure(d_calibration(times, events, curves).counts),
    }
