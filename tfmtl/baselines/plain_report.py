"""Measure boosted trees and linear models on a split, task by task, beside which a network should stand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfmtl.baselines.id_columns import IdColumns, known_rates
from tfmtl.baselines.plain_models import Predict, Rows, boosted_trees, linear_model
from tfmtl.baselines.split_columns import SplitColumns
from tfmtl.core.label_parts import label_parts
from tfmtl.core.row_weights import metric_weights, row_weights
from tfmtl.data import PreparedData
from tfmtl.schema import TaskRecord
from tfmtl.schema.extras import need_extra
from tfmtl.tasks import behavior_of

TREES = "boosted trees"
TREES_WITH_IDS = "boosted trees, with ids"
MOST_ROWS = 1_000_000
"""Rows for training, and for choosing by validation, that are read at most."""


@dataclass(frozen=True)
class PlainReport:
    """What other models reach on a split.

    Args:
        tasks: task -> name of the model -> metric -> value, as `tfmtl.training.evaluate` has them of a network.
        constants: task -> metric -> value, of a constant from the training labels.
        notes: what was left out and why, a sentence each.
        scores: task -> name of the model -> what it predicts, float32 `(N,)`, rows in the order of the files.
    """

    tasks: Mapping[str, Mapping[str, Mapping[str, Any]]]
    constants: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...] = ()
    scores: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)


def plain_report(data: PreparedData, split: str = "test", seed: int = 0, most_rows: int = MOST_ROWS) -> PlainReport:
    """Fits boosted trees and a linear model to every task that is a yes/no event or a mean, and measures them.

    Three models per task. `boosted trees` read the numbers of the records: scaled numbers, buckets, derived features,
    lengths. `boosted trees, with ids` read beside them, of every name, how often it occurs in training, its smoothed
    mean label (of training rows: in the other four of five folds), and the 254 most frequent as categories. The
    logistic regression (of a mean: linear regression) reads the same but for the categories. Settings are chosen and
    trees are counted on the validation split; `split` has no say.

    Args:
        data: `PreparedData`.
        split: the split to measure on. Defaults to `"test"`.
        seed: int. Of folds and trees. Defaults to `0`.
        most_rows: int. Rows to read at most for training, and for choosing by validation. Defaults to `1_000_000`.

    Raises:
        ImportError: scikit-learn is not installed.
        DataError: a file of the data is damaged.

    Example:

    >>> plain_report(PreparedData("data")).tasks["click"]["boosted trees"]["auc"]  # doctest: +SKIP
    0.7331
    """
    need_extra("boosted trees", "trees", "sklearn")
    train = SplitColumns.of(data, "train", most_rows)
    # What is measured is read whole, be it the validation split.
    parts = {name: SplitColumns.of(data, name, None if name == split else most_rows) for name in {"valid", split}}
    groups = parts[split].groups if data.problem.group_column is not None else None
    weights = metric_weights(data.problem, parts[split].labels)
    measured, constants, all_scores, notes = {}, {}, {}, []
    for name, part in (("train", train), ("valid", parts["valid"])):
        if len(part) < data.num_examples(name):
            notes.append(f"Trees and linear models read the first {len(part):,} rows of the {name} split.")
    if train.left_out:
        notes.append(f"Trees and linear models read no column of {', '.join(train.left_out)}.")
    for task in data.problem.tasks:
        reason = _not_plain(task, train)
        if reason is not None:
            notes.append(f"No trees for {task.name}: {reason}.")
            continue
        behavior, labels = behavior_of(task).fitted(data.inputs), label_parts(task, parts[split].labels)
        constants[task.name] = behavior.baseline(data.inputs, labels, groups, weights[task.name])
        scores = _scores(data, task, train, parts["valid"], parts[split], seed)
        all_scores[task.name] = {name: own.astype(np.float32) for name, own in scores.items()}
        measured[task.name] = {
            name: behavior.exact_metrics(labels, {"": own}, groups, weights[task.name])
            for name, own in all_scores[task.name].items()
        }
    return PlainReport(measured, constants, tuple(notes), all_scores)


def _not_plain(task: TaskRecord, train: SplitColumns) -> str | None:
    """Why no plain model predicts the task; `None` if one does."""
    if not (task.calibrates or task.predicts_mean):
        return f"its kind, {task.kind}, is neither a yes/no event nor a mean"
    labels = train.labels[task.name]
    if len(np.unique(labels[~np.isnan(labels)])) < 2:
        return "its training labels are all alike"
    return None


def _scores(
    data: PreparedData, task: TaskRecord, train: SplitColumns, valid: SplitColumns, asked: SplitColumns, seed: int
) -> dict[str, np.ndarray]:
    """Name of the model -> its scores of all rows of the split that is asked for."""
    is_share = task.calibrates
    parts = (train, valid, asked)
    numbers = [np.stack(list(part.numbers.values()), axis=1) if part.numbers else _none(part) for part in parts]
    facts, codes = _of_ids(data, task, parts, is_share, seed)
    with_rates = [np.concatenate(pair, axis=1) for pair in zip(numbers, facts, strict=True)]
    with_all = [np.concatenate(pair, axis=1) for pair in zip(with_rates, codes, strict=True)]
    categories = range(with_rates[0].shape[1], with_all[0].shape[1])

    def fitted(fit: Callable[..., Predict], columns: list[np.ndarray], *options: Any) -> np.ndarray:
        of_train, of_valid = (
            _labeled_rows(data, task, part, own) for part, own in zip(parts[:2], columns[:2], strict=True)
        )
        predict = fit(of_train, of_valid, is_share, *options)
        return predict(columns[2]) if len(columns[2]) else np.empty(0)

    found: dict[str, np.ndarray] = {}
    if numbers[0].shape[1]:
        found[TREES] = fitted(boosted_trees, numbers, (), seed)
    if train.ids:
        found[TREES_WITH_IDS] = fitted(boosted_trees, with_all, categories, seed)
    if with_rates[0].shape[1]:
        found["logistic regression" if is_share else "linear regression"] = fitted(linear_model, with_rates)
    return found


def _labeled_rows(data: PreparedData, task: TaskRecord, part: SplitColumns, inputs: np.ndarray) -> Rows:
    labels, weights = part.labels[task.name], row_weights(data.problem, part.labels)[task.name]
    known = ~np.isnan(labels)
    return Rows(inputs[known], labels[known], None if weights is None else weights[known])


def _of_ids(
    data: PreparedData, task: TaskRecord, parts: tuple[SplitColumns, ...], is_share: bool, seed: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each of train, valid and the asked split: counts and rates `(N, 2 C)`, and categories `(N, C)`."""
    tables = {each.key: each.table for each in data.problem.field_tensors}
    facts: list[list[np.ndarray]] = [[] for _ in parts]
    codes: list[list[np.ndarray]] = [[] for _ in parts]
    for name, ids in parts[0].ids.items():
        size = data.inputs.table_rows[str(tables[name])]
        columns = IdColumns.of(ids, size)
        own, final = known_rates(ids, parts[0].labels[task.name], size, is_share, seed)
        for place, part in enumerate(parts):
            asked = part.ids[name]
            facts[place] += [columns.log_counts(asked), final[asked] if place else own]
            codes[place].append(columns.categories(asked))
    return (
        [np.stack(own, axis=1) if own else _none(part) for own, part in zip(facts, parts, strict=True)],
        [np.stack(own, axis=1) if own else _none(part) for own, part in zip(codes, parts, strict=True)],
    )


def _none(part: SplitColumns) -> np.ndarray:
    return np.empty((len(part), 0), np.float32)
