"""Exact metrics of a model on a split."""

from typing import Any

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.metrics import evaluate_task
from tfmtl.models import MultiTaskModel

_BATCH = 4096


def predict(model: MultiTaskModel, data: PreparedData, split: str) -> dict[str, Any]:
    """Predictions and labels of a split: `{"groups": (N,), "labels": {task: (N,)}, "predictions": {task: (N,)}}`.

    Groups are bytes; missing labels are NaN. Rows are in the order of the files.

    Raises:
        ValueError: the model was trained on other data, or there is no such split.
    """
    data.check_fitted_for("predict", model.inputs)
    batches = data.split(split, _BATCH)
    groups: list[np.ndarray] = []
    labels: dict[str, list[np.ndarray]] = {task: [] for task in data.inputs.task_names}
    for _, batch_labels, batch_groups in batches:
        groups.append(batch_groups.numpy())
        for task, parts in labels.items():
            parts.append(batch_labels[task].numpy())
    # A second pass, for the model's own function: it is compiled once, and divides batches among replicas.
    features = batches.map(lambda features, labels, groups: features)
    predictions = model.predict(features, verbose=0) if groups else {task: _joined([]) for task in labels}
    return {
        "groups": _joined(groups),
        "labels": {task: _joined(parts) for task, parts in labels.items()},
        "predictions": predictions,
    }


def evaluate(model: MultiTaskModel, data: PreparedData, split: str = "test") -> dict[str, dict[str, Any]]:
    """Exact metrics per task of a split.

    Binary tasks: ROC AUC, AUC grouped by the problem's group (with what was skipped), log loss, normalized entropy,
    expected calibration error. Regression tasks: root mean squared and mean absolute error. A metric that is
    undefined, such as the AUC of one class, is `None`.

    Returns:
        dict: task -> metric -> value, ready for JSON.

    Raises:
        ValueError: the model was trained on other data, or there is no such split.
    """
    data.check_fitted_for("evaluate", model.inputs)
    result = predict(model, data, split)
    groups = result["groups"] if data.problem.group_column is not None else None
    return {
        task.name: evaluate_task(task.kind, result["labels"][task.name], result["predictions"][task.name], groups)
        for task in data.problem.tasks
    }


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
