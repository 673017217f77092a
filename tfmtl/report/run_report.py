"""One self-contained HTML page about a training run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tfmtl.data import PreparedData
from tfmtl.export.calibration.calibrate import FITTED_ON, calibrate, calibration_report
from tfmtl.folders import TrainedRun
from tfmtl.metrics.directions import direction
from tfmtl.models import MultiTaskModel
from tfmtl.report import run_facts, run_figures
from tfmtl.report.page import write_page
from tfmtl.report.survival_section import survival_section
from tfmtl.schema import TaskRecord
from tfmtl.training.evaluate import metrics_of, predict
from tfmtl.training.intervals import RESAMPLES, metric_intervals
from tfmtl.training.permutation_importance import ROWS, permutation_importance
from tfmtl.training.row_slices import RowSlice
from tfmtl.training.slice_report import slice_report

_METHOD = "platt"
_GATE_ROWS = 4096


def run_report(
    run: str | Path,
    model: MultiTaskModel,
    data: PreparedData,
    path: str | Path,
    *,
    split: str = "test",
    slices: Sequence[RowSlice] = (),
    beside: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    rows: int = ROWS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Writes the page and returns what it shows, as plain values.

    Learning curves; metrics of a split with 95 % intervals beside a constant; calibration before and after Platt's
    scaling; curves of survival tasks; importance of features by permutation; conflicts of tasks, where the run looked
    for them; gates; slices.

    Args:
        run: str or Path. Its folder.
        model: `MultiTaskModel`, of that run.
        data: `PreparedData`.
        path: str or Path. The HTML file; pictures and styles are inside, nothing is loaded from the net.
        split: str. What is measured. Defaults to `"test"`.
        slices: parts of the rows. Defaults to none.
        beside: task -> other model -> metric -> value, such as of boosted trees. Defaults to `None`.
        rows: int. Rows to look at for the importance. Defaults to `5000`.
        resamples: int. For the intervals. Defaults to `200`.
        seed: int. Of everything drawn. Defaults to `0`.
    """
    folder = TrainedRun(run)
    record = folder.read_record("run_report")
    predicted = predict(model, data, split)
    report = metrics_of(data, predicted)
    intervals = metric_intervals(data, predicted, resamples, seed)
    conflicts = run_facts.conflict_records(folder)
    use = run_facts.expert_use(model, data, split, _GATE_ROWS, seed)
    importances = permutation_importance(model, data, split, rows, seed)
    calibration, curves = _calibration(model, data, split, predicted)
    facts = {
        "name": folder.path.resolve().name,
        "problem": data.problem.name,
        "split": split,
        "examples": data.num_examples(split),
        "record": record,
        "options": run_facts.run_options(record),
        "kept": run_facts.kept_epoch(record, data),
        "groups": data.problem.group_column,
        "tasks": [
            _task_rows(task, report[task.name], intervals[task.name], (beside or {}).get(task.name, {}))
            for task in data.problem.tasks
        ],
        "calibration": calibration,
        "conflict": conflicts[-1] if conflicts else None,
        "levels": [use_.tolist() for use_ in use],
        "importances": importances,
        "main": {task.name: task.monitor[0] for task in data.problem.tasks},
        "rows": min(rows, data.num_examples(split)),
        "slices": slice_report(data, split, predicted, slices, resamples, seed),
    }
    survival = survival_section(data, predicted, report, intervals)
    pictures = _pictures(model, facts, conflicts, use, curves) | survival.pictures
    write_page(path, "run_report.html", {**facts, "survival": survival}, pictures)
    return facts


def _task_rows(
    task: TaskRecord,
    metrics: Mapping[str, Any],
    intervals: Mapping[str, Mapping[str, float]],
    beside: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """A row a metric that has a better side: the model, its interval, a constant, other models."""
    baseline = metrics["baseline"]
    ways = {name: direction(name, task.monitor) for name, value in metrics.items() if not isinstance(value, Mapping)}
    return {
        "name": task.name,
        "kind": task.kind,
        "labels": metrics.get("examples", metrics.get("rows")),
        "mean_label": metrics.get("mean_label"),
        "mean_prediction": metrics.get("mean_prediction"),
        "others": list(beside),
        "metrics": [
            {
                "name": name,
                "way": "larger" if way > 0 else "smaller",
                "value": metrics[name],
                "interval": intervals.get(name),
                "constant": baseline.get(name),
                "beats": _beats(metrics[name], baseline.get(name), way),
                "others": [models.get(name) for models in beside.values()],
            }
            for name, way in ways.items()
            if way
        ],
    }


def _beats(value: float | None, constant: float | None, way: int) -> bool | None:
    """Whether a metric is better than a constant's; None where one of them is undefined."""
    if value is None or constant is None:
        return None
    return value * way >= constant * way


def _calibration(
    model: MultiTaskModel, data: PreparedData, split: str, predicted: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """Numbers a task, and what the picture shows; tasks without both classes in the validation split are left out."""
    tasks = [
        task.name
        for task in data.problem.tasks
        if _METHOD in task.calibrators and data.has_both_classes(FITTED_ON, task.name)
    ]
    curves: dict[str, dict[str, np.ndarray]] = {"labels": {}, "before": {}, "after": {}}
    if not tasks:
        return {}, curves
    valid = predicted if split == FITTED_ON else predict(model, data, FITTED_ON)
    found: dict[str, Any] = {}
    for task in tasks:
        try:
            calibrators = calibrate(data.problem, {task: _METHOD}, valid["labels"], valid["predictions"])
        except ValueError as error:  # a model that ranks the wrong way round cannot be calibrated
            found[task] = {"error": str(error)}
            continue
        facts = calibration_report(calibrators, {split: predicted})[task].get(split)
        if facts is None:
            continue
        found[task] = facts
        before = np.asarray(predicted["predictions"][task], np.float64)
        curves["labels"][task], curves["before"][task] = predicted["labels"][task], before
        curves["after"][task] = calibrators[task].of_arrays({"": before})[""]
    return found, curves


def _pictures(
    model: MultiTaskModel,
    facts: Mapping[str, Any],
    conflicts: Sequence[Mapping[str, Any]],
    use: Sequence[np.ndarray],
    curves: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, Figure]:
    """The page's pictures; one that would show nothing is left out."""
    tasks = [task["name"] for task in facts["tasks"]]
    found: dict[str, Figure | None] = {
        "curves": run_figures.curves_figure(facts["record"]["history"], facts["kept"]),
        "importances": run_figures.importance_figure(facts["importances"], facts["main"]),
        "reliability": run_figures.reliability_panels(curves["labels"], curves["before"], curves["after"]),
        "conflicts": run_figures.conflict_figure(conflicts),
    }
    if conflicts and len(tasks) > 1:
        found["cosines"] = run_figures.cosines_figure(tasks, conflicts[-1]["cosines"])
    for level, matrix in enumerate(use, start=1):
        found[f"gates_{level}"] = run_figures.gates_figure(tasks, matrix, model.sharing.num_specific_experts)
    return {name: figure for name, figure in found.items() if figure is not None}
