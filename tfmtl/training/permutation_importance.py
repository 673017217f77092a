"""How much each task's metric loses when a feature says nothing any more."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.metrics.directions import direction
from tfmtl.models import MultiTaskModel
from tfmtl.schema.checks import check_positive_int
from tfmtl.training.evaluate import metrics_of

ROWS = 5_000
_BATCH = 4096


def permutation_importance(
    model: MultiTaskModel, data: PreparedData, split: str = "test", rows: int = ROWS, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Task -> feature or sequence -> loss of the task's main metric where its values are shuffled among rows.

    Positive: the model is worse without it. What two features both tell counts for neither. A feature's tensors are
    shuffled together, a sequence's, too; derived features apart from what they are derived from.

    Args:
        model: a trained model.
        data: `PreparedData`.
        split: str. Defaults to `"test"`.
        rows: int. Rows to look at, drawn from the whole split. Defaults to `5000`.
        seed: int. Of the draw and the shuffling. Defaults to `0`.

    Reference:
        Breiman 2001, "Random Forests", section 10; Fisher et al. 2019, https://arxiv.org/abs/1801.01489.
    """
    check_positive_int("permutation_importance", "rows", rows)
    if not data.num_examples(split):
        return {task.name: {} for task in data.problem.tasks}
    generator = np.random.default_rng(seed)
    features, sampled = sample_rows(data, split, rows, generator)
    whole = _main_metrics(data, model, features, sampled)
    found: dict[str, dict[str, float]] = {task.name: {} for task in data.problem.tasks}
    for name, keys in _inputs(data):
        order = generator.permutation(len(sampled["groups"]))
        shuffled = {**features, **{key: features[key][order] for key in keys}}
        for task, value in _main_metrics(data, model, shuffled, sampled).items():
            before = whole[task]
            if value is not None and before is not None:
                monitor = data.problem.task(task).monitor
                found[task][name] = (before - value) * direction(monitor[0], monitor)
    return {task: dict(sorted(each.items(), key=lambda pair: -pair[1])) for task, each in found.items()}


def sample_rows(
    data: PreparedData, split: str, rows: int, generator: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Encoded features of random rows of a split, and their groups and labels as `predict` returns them.

    Args:
        data: `PreparedData`.
        split: str.
        rows: int. At most.
        generator: draws them.
    """
    total = data.num_examples(split)
    chosen = np.sort(generator.permutation(total)[:rows])
    parts: list[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray], np.ndarray]] = []
    start = 0
    for features, labels, groups in data.split(split, _BATCH).as_numpy_iterator():
        own = chosen[(chosen >= start) & (chosen < start + len(groups))] - start
        parts.append(({k: v[own] for k, v in features.items()}, {k: v[own] for k, v in labels.items()}, groups[own]))
        start += len(groups)
    joined = {key: np.concatenate([part[0][key] for part in parts]) for key in parts[0][0]}
    all_labels = {key: np.concatenate([part[1][key] for part in parts]) for key in parts[0][1]}
    return joined, {"groups": np.concatenate([part[2] for part in parts]), "labels": all_labels}


def _inputs(data: PreparedData) -> Iterator[tuple[str, list[str]]]:
    """Every feature and sequence with the keys of its tensors."""
    for feature in data.problem.features:
        yield feature.name, [tensor.key for tensor in feature.tensors(data.problem)]
    for sequence in data.problem.sequences:
        yield sequence.name, [tensor.key for tensor in sequence.tensors(data.problem)]


def _main_metrics(
    data: PreparedData, model: MultiTaskModel, features: Mapping[str, np.ndarray], sampled: Mapping[str, Any]
) -> dict[str, float | None]:
    predictions = model.predict(dict(features), batch_size=_BATCH, verbose=0)
    report = metrics_of(data, {**sampled, "predictions": predictions}, baselines=False)
    return {task.name: report[task.name].get(task.monitor[0]) for task in data.problem.tasks}
