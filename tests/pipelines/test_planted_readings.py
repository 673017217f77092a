"""The planted log with `rule="readings"`: histories speak event by event, and a narrow vector cannot hold it all."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tfmtl.pipelines.datasets.planted import PLANTED_TASKS, best_auc, planted_log, planted_problem

SMALL: dict[str, Any] = {"num_users": 300, "num_steps": 30, "num_items": 12, "num_tasks": 3, "rule": "readings"}
TASKS = list(PLANTED_TASKS)[:3]


def _logits(log: pa.Table, task: str, column: str = "probability") -> np.ndarray:
    probability = log[f"{column}_{task}"].to_numpy()
    return np.log(probability / (1.0 - probability))


def _design(log: pa.Table) -> np.ndarray:
    """`(N, fields + J * I)`: one-hot fields and how often each item is among the last 10 events of each behavior."""
    shown = log.to_pylist()
    past: dict[int, list[list[int]]] = {}
    design = np.zeros((len(shown), 8 * 10 + 24 + 4 * 12))
    for line, row in zip(design, shown, strict=True):
        mine = past.setdefault(row["user_id"], [[] for _ in range(4)])
        line[10 * row["segment"] + row["category"]] = line[80 + row["hour"]] = 1.0
        for behavior, items in enumerate(mine):
            for item in items[-10:]:
                line[104 + 12 * behavior + item] += 1.0 / min(len(items), 10)
            if behavior == 0 or row[TASKS[behavior - 1]] == 1:
                items.append(row["item_id"])
    return design


@pytest.fixture(scope="module")
def log() -> pa.Table:
    return planted_log(4, 0.0, 1.0, narrow=3, **SMALL)


@pytest.fixture(scope="module")
def readings(log: pa.Table) -> np.ndarray:
    """`(K * J, I)` as least squares finds them in the logits; every row centered."""
    design = _design(log)
    found = []
    for task in TASKS:
        solution, *_ = np.linalg.lstsq(design, _logits(log, task), rcond=None)
        np.testing.assert_allclose(design @ solution, _logits(log, task), atol=1e-9)
        found.append(solution[104:].reshape(4, 12))
    flat = np.concatenate(found)
    return flat - flat.mean(axis=1, keepdims=True)


def test_means_of_events_explain_every_logit(readings: np.ndarray) -> None:
    assert np.all(readings.std(axis=1) > 0.5)  # every task heeds every behavior


def test_tasks_and_behaviors_read_differently_unless_told_otherwise(readings: np.ndarray) -> None:
    assert np.linalg.matrix_rank(readings, tol=1e-6) == 11  # twelve readings of twelve items, each of mean zero
    same = planted_log(4, 1.0, 0.0, **SMALL)
    for task in TASKS[1:]:
        shift = _logits(same, task) - _logits(same, TASKS[0])
        np.testing.assert_allclose(shift, shift[0], atol=1e-9)  # up to the biases


def test_the_narrow_world_is_the_nearest_of_its_width(log: pa.Table, readings: np.ndarray) -> None:
    design = _design(log)
    lost = np.stack([_logits(log, task) - _logits(log, task, "narrow") for task in TASKS])
    left = [np.linalg.lstsq(design, row, rcond=None)[0][104:].reshape(4, 12) for row in lost]
    flat = np.concatenate(left) - np.concatenate(left).mean(axis=1, keepdims=True)
    sizes = np.linalg.svd(readings, compute_uv=False)
    assert np.sum(flat**2) == pytest.approx(np.sum(sizes[3:] ** 2))
    assert np.mean(list(best_auc(log, column="narrow").values())) < np.mean(list(best_auc(log).values())) - 0.01


def test_width_enough_loses_nothing() -> None:
    log = planted_log(4, 1.0, 1.0, narrow=4, **SMALL)  # equal tasks: four behaviors, four readings
    for task in TASKS:
        np.testing.assert_allclose(_logits(log, task), _logits(log, task, "narrow"), atol=1e-9)


def test_labels_are_drawn_with_the_probabilities(log: pa.Table) -> None:
    for task in TASKS:
        labels, probabilities = log[task].to_numpy(), log[f"probability_{task}"].to_numpy()
        for rows in np.array_split(np.argsort(probabilities), 5):
            deviation = np.sqrt(np.mean(probabilities[rows] * (1 - probabilities[rows])) / len(rows))
            assert abs(labels[rows].mean() - probabilities[rows].mean()) < 4 * deviation


def test_the_problem_shows_as_much_history_and_as_wide_embeddings_as_asked() -> None:
    problem = planted_problem(3, max_length=10, dim=8)
    assert {feature.dim for feature in problem.features} == {8}
    assert {sequence.max_length for sequence in problem.sequences} == {10}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"rule": "reading"}, "`rule` must be one of"), ({"narrow": 0}, "`narrow` must be a positive int.")],
)
def test_arguments_out_of_range(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(f"planted_log: {text}")):
        planted_log(**{**SMALL, **arguments})
