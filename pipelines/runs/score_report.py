"""Measure score formulas, as exports answer them, against the labels of each yes/no task."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmtl.core.row_weights import metric_weights
from tfmtl.data import PreparedData
from tfmtl.export.calibration.calibrate import calibrated
from tfmtl.export.calibration.calibrator import Calibrator
from tfmtl.export.score import Score
from tfmtl.metrics import grouped_auc, roc_auc
from tfmtl.schema import Problem
from tfmtl.schema.tasks.task_record import TaskRecord


def read_scores(problem: Problem, formulas: Mapping[str, str]) -> dict[str, Score]:
    """The formulas, read before anything is computed.

    Args:
        problem: `Problem`.
        formulas: name -> expression over the tasks, as `Score` reads it.

    Raises:
        ValueError: an expression is none, or the problem has no yes/no task.
    """
    if formulas and not _yes_no(problem):
        raise ValueError(
            "evaluate: `--scores` must be measured on a yes/no task. Received: a problem without any. Leave it out."
        )
    return {name: Score(text, [task.name for task in problem.tasks]) for name, text in formulas.items()}


def add_scores(
    report: dict[str, dict[str, Any]],
    data: PreparedData,
    predicted: Mapping[str, Any],
    scores: Mapping[str, Score],
    calibrators: Mapping[str, Calibrator],
) -> None:
    """Adds `scores` to the metrics of every yes/no task: formula's name -> `auc` and, with groups, `gauc`.

    A formula gives an order, not a probability, so that nothing else is measured.

    Args:
        report: task -> metric -> value, as `tfmtl.training.evaluate` returns it for the split.
        data: the data evaluated.
        predicted: the split evaluated, as `tfmtl.training.predict` returned it.
        scores: as `read_scores` returned them.
        calibrators: task -> what calibrates it before the formulas are computed, as in an export.
    """
    columns = {name: np.asarray(values, np.float64) for name, values in predicted["predictions"].items()}
    predictions = calibrated(calibrators, columns, in_graph=False)
    weights = metric_weights(data.problem, predicted["labels"])
    for task in _yes_no(data.problem):
        labels, own = predicted["labels"][task.name], weights[task.name]
        found: dict[str, dict[str, float | None]] = {}
        for name, score in scores.items():
            with np.errstate(all="ignore"):
                values = score.value(predictions)
            found[name] = {"auc": _known(roc_auc(labels, values, own))}
            if data.problem.group_column is not None:
                found[name]["gauc"] = _known(grouped_auc(labels, values, predicted["groups"], own).value)
        report[task.name]["scores"] = found


def _yes_no(problem: Problem) -> list[TaskRecord]:
    return [task for task in problem.tasks if task.monitor[0] == "auc"]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
