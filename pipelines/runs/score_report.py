"""Measure score formulas, as exports answer them, against the labels of each yes/no task."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmtl.core.row_weights import metric_weights
from tfmtl.data import PreparedData
from tfmtl.export.score import Score
from tfmtl.metrics import grouped_auc, roc_auc
from tfmtl.models import MultiTaskModel
from tfmtl.training import predict


def add_scores(
    report: dict[str, dict[str, Any]],
    model: MultiTaskModel,
    data: PreparedData,
    split: str,
    formulas: Mapping[str, str],
) -> None:
    """Adds `scores` to the metrics of every yes/no task: formula's name -> `auc` and, with groups, `gauc`.

    A formula gives an order, not a probability, so that nothing else is measured.

    Args:
        report: task -> metric -> value, as `tfmtl.training.evaluate` returned it for the split.
        model: the model evaluated.
        data: the data evaluated.
        split: the split evaluated.
        formulas: name -> expression over the tasks, as `Score` reads it.

    Raises:
        ValueError: an expression is none, or the problem has no yes/no task.
    """
    tasks = [task for task in data.problem.tasks if task.monitor[0] == "auc"]
    scores = {name: Score(text, [task.name for task in data.problem.tasks]) for name, text in formulas.items()}
    if not tasks:
        raise ValueError(
            "evaluate: `--scores` must be measured on a yes/no task. Received: a problem without any. Leave it out."
        )
    result = predict(model, data, split)
    weights = metric_weights(data.problem, result["labels"])
    for task in tasks:
        labels, own = result["labels"][task.name], weights[task.name]
        found: dict[str, dict[str, float | None]] = {}
        for name, score in scores.items():
            with np.errstate(all="ignore"):
                values = score.value(result["predictions"])
            found[name] = {"auc": _known(roc_auc(labels, values, own))}
            if data.problem.group_column is not None:
                found[name]["gauc"] = _known(grouped_auc(labels, values, result["groups"], own).value)
        report[task.name]["scores"] = found


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
