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
    """
    groups: list[np.ndarray] = []
    labels: dict[str, list[np.ndarray]] = {task: [] for task in data.inputs.task_names}
    predictions: dict[str, list[np.ndarray]] = {task: [] for task in data.inputs.task_names}
    for features, batch_labels, batch_groups in data.split(split, _BATCH):
        outputs = model.predict_on_batch(features)  # NumPy; the model keeps its compiled function
        groups.append(batch_groups.numpy())
        for task in data.inputs.task_names:
            labels[task].append(batch_labels[task].numpy())
            predictions[task].append(outputs[task])
    return {
        "groups": _joined(groups),
        "labels": {task: _joined(parts) for task, parts in labels.items()},
        "predictions": {task: _joined(parts) for task, parts in predictions.items()},
    }


def evaluate(model: MultiTaskModel, data: PreparedData, split: str = "test") -> dict[str, dict[str, Any]]:
    """Exact metrics per task of a split.

    Binary tasks: ROC AUC, AUC grouped by the problem's group (with what was skipped), log loss, normalized entropy,
    expected calibration error. Regression tasks: root mean squared and mean absolute error. A metric that is
    undefined, such as the AUC of one class, is `None`.

    Returns:
        dict: task -> metric -> value, ready for JSON.
    """
    result = predict(model, data, split)
    groups = result["groups"] if data.problem.group_column is not None else None
    return {
        task.name: evaluate_task(task.kind, result["labels"][task.name], result["predictions"][task.name], groups)
        for task in data.problem.tasks
    }


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
