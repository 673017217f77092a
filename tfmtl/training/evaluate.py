"""Exact metrics of a model on a split."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfmtl.core.label_parts import label_parts
from tfmtl.core.row_weights import metric_weights
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel
from tfmtl.schema import Problem
from tfmtl.tasks import behavior_of
from tfmtl.tasks.task_behavior import TaskBehavior
from tfmtl.training.evaluation import Evaluation

_BATCH = 4096


def predict(model: MultiTaskModel, data: PreparedData, split: str) -> dict[str, Any]:
    """Predictions and labels of a split: `{"groups": (N,), "labels": {key: (N,)}, "predictions": {name: (N, ...)}}`.

    Groups are bytes; missing labels are NaN. Rows are in the order of the files. Labels and predictions are called as
    `TaskRecord.label_keys` and `output_names` say: label and score as the task, what else there is `<task>__<part>`.

    Raises:
        ValueError: the model was trained on other data, or there is no such split.
        DataError: a file of the data is damaged.
    """
    data.check_fitted_for("predict", model.inputs)
    with data.damage_named():
        return _predict(model, data, split)


def _predict(model: MultiTaskModel, data: PreparedData, split: str) -> dict[str, Any]:
    batches = data.split(split, _BATCH)
    groups: list[np.ndarray] = []
    labels: dict[str, list[np.ndarray]] = {key: [] for key in data.problem.label_keys}
    for _, batch_labels, batch_groups in batches:
        groups.append(batch_groups.numpy())
        for key, parts in labels.items():
            parts.append(batch_labels[key].numpy())
    # A second pass, for the model's own function: it is compiled once, and divides batches among replicas.
    features = batches.map(lambda features, labels, groups: features)
    predictions = model.predict(features, verbose=0) if groups else _no_predictions(data.problem)
    return {
        "groups": _joined(groups),
        "labels": {key: _joined(parts) for key, parts in labels.items()},
        "predictions": predictions,
    }


def evaluate(model: MultiTaskModel, data: PreparedData, split: str = "test") -> Evaluation:
    """Exact metrics per task of a split.

    Binary tasks: ROC AUC, AUC grouped by the problem's group (with what was skipped), log loss, normalized entropy,
    expected calibration error. Regression tasks: root mean squared and mean absolute error. Other kinds: see
    docs/problem_file.md. A metric that is undefined, such as the AUC of one class, is `None`. Where a kind knows the
    95 % interval of a metric by itself, its ends are `<metric>_low` and `<metric>_high`.

    The entry `baseline` holds the same metrics of a constant prediction from the training labels, such as their
    mean. A model that does not beat it has learned nothing.

    Returns:
        `Evaluation`: a dict, task -> metric -> value, ready for JSON; it shows itself as a table.

    Raises:
        ValueError: the model was trained on other data, or there is no such split.
    """
    data.check_fitted_for("evaluate", model.inputs)
    predicted = predict(model, data, split)
    report = metrics_of(data, predicted)
    add_ends(report, data, predicted)
    return Evaluation(report, model.name, f"{data.problem.name}, {split} split")


def metrics_of(data: PreparedData, predicted: Mapping[str, Any], baselines: bool = True) -> dict[str, dict[str, Any]]:
    """The metrics of `evaluate` for a split that is predicted already.

    Args:
        data: `PreparedData`.
        predicted: what `predict` returned, or some of its rows.
        baselines: bool. Whether a constant is measured, too. Defaults to `True`.
    """
    report: dict[str, dict[str, Any]] = {}
    for task, behavior, (labels, outputs, groups, weights) in _measured(data, predicted):
        report[task] = behavior.exact_metrics(labels, outputs, groups, weights)
        if baselines:
            report[task]["baseline"] = behavior.baseline(data.inputs, labels, groups, weights)
    return report


def metric_ends(data: PreparedData, predicted: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Task -> metric -> `low` and `high`, the ends of its 95 % interval, of kinds that know it by themselves.

    For all metrics of all kinds, at the price of measuring drawn rows: `tfmtl.training.intervals.metric_intervals`.

    Args:
        data: `PreparedData`.
        predicted: what `predict` returned.
    """
    return {
        task: {metric: {"low": low, "high": high} for metric, (low, high) in behavior.metric_ends(*measured).items()}
        for task, behavior, measured in _measured(data, predicted)
    }


def add_ends(report: dict[str, dict[str, Any]], data: PreparedData, predicted: Mapping[str, Any]) -> None:
    """Adds `<metric>_low` and `<metric>_high` of `metric_ends` to what `metrics_of` returned.

    Args:
        report: task -> metric -> value, changed in place.
        data: `PreparedData`.
        predicted: what `predict` returned.
    """
    for task, ends in metric_ends(data, predicted).items():
        report[task] |= {f"{metric}_{end}": value for metric, pair in ends.items() for end, value in pair.items()}


def _measured(data: PreparedData, predicted: Mapping[str, Any]) -> Iterator[tuple[str, TaskBehavior[Any], Any]]:
    """Task, its behavior, and what `exact_metrics` takes."""
    groups = predicted["groups"] if data.problem.group_column is not None else None
    weights = metric_weights(data.problem, predicted["labels"])
    for task in data.problem.tasks:
        outputs = {output.suffix: predicted["predictions"][task.key(output.suffix)] for output in task.outputs}
        labels = label_parts(task, predicted["labels"])
        yield task.name, behavior_of(task).fitted(data.inputs), (labels, outputs, groups, weights[task.name])


def _no_predictions(problem: Problem) -> dict[str, np.ndarray]:
    """Of no rows."""
    return {
        task.key(output.suffix): np.empty((0, *(size or 0 for size in output.inner)), np.float32)
        for task in problem.tasks
        for output in task.outputs
    }


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
