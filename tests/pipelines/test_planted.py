"""The planted log: its probabilities are the labels', its dials do what they say, its past knows no future."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import pytest

from tfmtl.pipelines.datasets import DATASETS
from tfmtl.pipelines.datasets.planted import PLANTED_TASKS, best_auc, planted_log, planted_problem
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.preprocessing import columns

SMALL = {"num_users": 300, "num_steps": 20, "num_items": 60}
# Extreme dials of every number of tasks.
DIALS = [(1, 0.0, 0.5), (2, 0.0, 0.5), (2, -1.0, 0.0), (2, 1.0, 1.0), (3, -0.5, 1.0), (4, 0.3, 0.0)]


def _tasks(log: pa.Table) -> list[str]:
    return [task for task in PLANTED_TASKS if task in log.column_names]


def _logits(log: pa.Table, task: str) -> np.ndarray:
    probability = log[f"probability_{task}"].to_numpy()
    return np.log(probability / (1.0 - probability))


# === Probabilities ===


@pytest.mark.parametrize(("num_tasks", "conflict", "divergence"), DIALS)
def test_labels_are_drawn_with_the_probabilities(num_tasks: int, conflict: float, divergence: float) -> None:
    log = planted_log(3, conflict, divergence, num_users=1000, num_steps=30, num_tasks=num_tasks)
    assert len(_tasks(log)) == num_tasks
    for task in _tasks(log):
        labels, probabilities = log[task].to_numpy(), log[f"probability_{task}"].to_numpy()
        for rows in np.array_split(np.argsort(probabilities), 10):
            expected = probabilities[rows].mean()
            deviation = np.sqrt(np.mean(probabilities[rows] * (1 - probabilities[rows])) / len(rows))
            assert abs(labels[rows].mean() - expected) < 4 * deviation


def test_tasks_are_drawn_apart_from_each_other() -> None:
    log = planted_log(num_users=1000, num_steps=30, conflict=1.0)
    surprises = [log[task].to_numpy() - log[f"probability_{task}"].to_numpy() for task in _tasks(log)]
    assert abs(np.corrcoef(surprises)[0, 1]) < 4 / np.sqrt(log.num_rows)


@pytest.mark.parametrize(("num_tasks", "conflict", "divergence"), DIALS)
def test_as_much_to_learn_whatever_the_dials(num_tasks: int, conflict: float, divergence: float) -> None:
    log = planted_log(0, conflict, divergence, num_tasks=num_tasks)
    for task in _tasks(log):
        assert 0.74 < best_auc(log, "train")[task] < 0.82
        assert 0.74 < best_auc(log)[task] < 0.85
        assert 0.2 < log[task].to_numpy().mean() < 0.4


def test_the_best_auc_by_hand() -> None:
    log = pa.table(
        {
            "like": [1, 0, 1, 0, 1],
            "probability_like": [0.9, 0.8, 0.7, 0.1, 0.0],
            "split": ["test", "test", "test", "test", "valid"],
        }
    )
    assert best_auc(log) == {"like": 0.75}
    with pytest.raises(ValueError, match=r"^best_auc: `split` must be one of .* Did you mean 'valid'\?$"):
        best_auc(log, "validation")


# === The formula ===


def _histories(log: pa.Table, behaviors: list[str | None]) -> dict[tuple[int, int], list[list[int]]]:
    """(user, time) -> items of each behavior, newest first, from the rows alone."""
    past: dict[int, list[list[int]]] = {}
    found = {}
    for row in log.to_pylist():
        mine = past.setdefault(row["user_id"], [[] for _ in behaviors])
        found[row["user_id"], row["timestamp"]] = [items[:20] for items in mine]
        for items, behavior in zip(mine, behaviors, strict=True):
            if behavior is None or row[behavior] == 1:
                items.insert(0, row["item_id"])
    return found


def test_logits_are_linear_in_what_the_log_shows() -> None:
    """The observed fields and, an item each, the recency-weighted histories explain every logit exactly.

    For rows of one item and task the match with the item is linear in the history, whose entries are the weights
    of the items in it; so least squares on a log with more rows than items leaves nothing over.
    """
    log = planted_log(num_users=400, num_steps=45, num_items=6, num_segments=4, num_categories=4, divergence=0.3)
    histories = _histories(log, [None, "like", "buy"])
    rows = [row for row in log.to_pylist() if row["item_id"] == 0]
    assert len({row["category"] for row in rows}) == 1
    design = np.zeros((len(rows), 4 + 24 + 3 * 6))
    for i, row in enumerate(rows):
        design[i, row["segment"]] = design[i, 4 + row["hour"]] = 1.0
        for j, items in enumerate(histories[row["user_id"], row["timestamp"]]):
            for age, item in enumerate(items):
                design[i, 28 + 6 * j + item] += 0.8**age
    for task in ("like", "buy"):
        logits = np.array([_logits(log, task)[k] for k, item in enumerate(log["item_id"].to_pylist()) if item == 0])
        solution = np.linalg.lstsq(design, logits, rcond=None)[0]
        np.testing.assert_allclose(design @ solution, logits, atol=1e-9)
        assert np.abs(solution[28:]).max() > 0.01


@pytest.mark.parametrize("heeded", [0, 1])
def test_at_full_divergence_a_task_heeds_its_own_history_alone(heeded: int) -> None:
    log = planted_log(divergence=1.0, num_users=400, num_steps=45, num_items=6, num_segments=4, num_categories=4)
    own, other = [("like", "buy"), ("buy", "like")][heeded]
    rows = [k for k, item in enumerate(log["item_id"].to_pylist()) if item == 0]
    shown, logits = log.take(rows).to_pylist(), _logits(log, own)[rows]
    left_over = {}
    for behavior in (own, other):
        histories = _histories(log, [behavior])
        design = np.zeros((len(rows), 34))
        for i, row in enumerate(shown):
            design[i, row["segment"]] = design[i, 4 + row["hour"]] = 1.0
            for age, item in enumerate(histories[row["user_id"], row["timestamp"]][0]):
                design[i, 28 + item] += 0.8**age
        left_over[behavior] = np.std(logits - design @ np.linalg.lstsq(design, logits, rcond=None)[0])
    assert left_over[own] < 1e-9 < 0.1 < left_over[other]


# === Dials ===


@pytest.mark.parametrize(("conflict", "sign"), [(1.0, 1.0), (-1.0, -1.0)])
def test_equal_and_opposite_tasks(conflict: float, sign: float) -> None:
    log = planted_log(1, conflict=conflict, divergence=0.0, **SMALL)
    shift = _logits(log, "buy") - sign * _logits(log, "like")
    np.testing.assert_allclose(shift, shift[0], atol=1e-9)
    assert shift[0] == pytest.approx(-1.4 + sign * 1.1)  # the biases differ


def test_all_of_four_tasks_are_equal() -> None:
    log = planted_log(1, conflict=1.0, divergence=0.0, num_tasks=4, **SMALL)
    for task in ("buy", "share", "follow"):
        shift = _logits(log, task) - _logits(log, "like")
        np.testing.assert_allclose(shift, shift[0], atol=1e-9)


def test_conflict_is_the_correlation_of_the_logits() -> None:
    correlations = []
    for conflict in (-1.0, -0.5, 0.0, 0.5, 1.0):
        log = planted_log(2, conflict, 0.0)
        correlations.append(np.corrcoef(_logits(log, "like"), _logits(log, "buy"))[0, 1])
    np.testing.assert_allclose(correlations, [-1.0, -0.5, 0.0, 0.5, 1.0], atol=0.1)


def test_divergence_parts_tasks_that_want_the_same() -> None:
    correlations = []
    for divergence in (0.0, 0.5, 1.0):
        log = planted_log(2, 1.0, divergence)
        correlations.append(np.corrcoef(_logits(log, "like"), _logits(log, "buy"))[0, 1])
    assert correlations[0] == pytest.approx(1.0)
    assert correlations[1] < 0.97
    assert correlations[2] < correlations[1] - 0.1


# === Rows ===


def test_same_seed_same_table() -> None:
    assert planted_log(5, **SMALL).equals(planted_log(5, **SMALL))
    assert not planted_log(5, **SMALL).equals(planted_log(6, **SMALL))


def test_the_past_knows_no_future() -> None:
    long = planted_log(**{**SMALL, "num_steps": 20}).drop_columns(["split"])
    short = planted_log(**{**SMALL, "num_steps": 12}).drop_columns(["split"])
    assert long.slice(0, short.num_rows).equals(short)


def test_rows_are_in_order_and_the_newest_are_held_out() -> None:
    log = planted_log(**SMALL)
    times, splits = log["timestamp"].to_numpy(), np.array(log["split"].to_pylist())
    assert np.all(np.diff(times) >= 0)
    assert times[splits == "train"].max() < times[splits == "valid"].min()
    assert times[splits == "valid"].max() < times[splits == "test"].min()
    assert {name: int((splits == name).sum()) for name in ("train", "valid", "test")} == {
        "train": 16 * 300, "valid": 2 * 300, "test": 2 * 300,
    }  # fmt: skip
    assert len(set(zip(log["user_id"].to_pylist(), times.tolist(), strict=True))) == log.num_rows
    np.testing.assert_array_equal(times // 3600 % 24, log["hour"].to_numpy())


def test_every_item_has_one_category_and_every_user_one_segment() -> None:
    log = planted_log(**SMALL)
    for key, fact in (("item_id", "category"), ("user_id", "segment")):
        pairs = set(zip(log[key].to_pylist(), log[fact].to_pylist(), strict=True))
        assert len(pairs) == pc.count_distinct(log[key]).as_py()


# === Problem and data set ===


@pytest.mark.parametrize("num_tasks", [1, 2, 3, 4])
def test_the_problem_fits_the_log_and_shows_no_probability(num_tasks: int) -> None:
    problem, log = planted_problem(num_tasks), planted_log(num_tasks=num_tasks, **SMALL)
    used = columns.raw_columns(problem)
    assert set(used) <= set(log.column_names)
    assert not [name for name in used if name.startswith("probability_")]
    assert [task.name for task in problem.tasks] == list(PLANTED_TASKS)[:num_tasks]
    assert [sequence.name for sequence in problem.sequences] == ["viewed", *list(PLANTED_TASKS.values())[:num_tasks]]


def test_the_data_set_is_the_default_log(tmp_path: Path) -> None:
    dataset = DATASETS["planted"]
    assert dataset.problem == planted_problem()
    output = dataset.prepare(tmp_path)
    assert parquet.read_table(output / "log.parquet").equals(planted_log())


def test_it_preprocesses(tmp_path: Path) -> None:
    parquet.write_table(planted_log(num_tasks=3, **SMALL), tmp_path / "log.parquet")
    manifest = preprocess(planted_problem(3), [str(tmp_path / "log.parquet")], str(tmp_path / "data"), num_shards=2)
    assert (manifest["rows_written"], manifest["rows_rejected"]) == (6000, {})
    assert manifest["splits"]["test"]["examples"] == 600


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"conflict": 1.1}, ValueError, "`conflict` must lie in [-1, 1]. Received: conflict=1.1. 2 tasks cannot all"),
        ({"conflict": -0.6, "num_tasks": 3}, ValueError, "`conflict` must lie in [-0.5, 1]. Received: conflict=-0.6."),
        ({"conflict": "none"}, TypeError, "`conflict` must be a finite number. Received: conflict='none'"),
        ({"divergence": -0.1}, ValueError, "`divergence` must lie in [0, 1]. Received: divergence=-0.1."),
        ({"num_tasks": 5}, ValueError, "`num_tasks` must be at most 4. Received: num_tasks=5. The tasks are like, buy"),
        ({"num_tasks": 0}, ValueError, "`num_tasks` must be a positive int. Received: num_tasks=0."),
        ({"num_users": 1.5}, TypeError, "`num_users` must be a positive int. Received: num_users=1.5"),
        ({"num_steps": 2}, ValueError, "`num_steps` must be at least 3. Received: num_steps=2."),
        ({"num_items": 4}, ValueError, "`num_items` must be at least 5. Received: num_items=4."),
        ({"latent_dim": 1}, ValueError, "`latent_dim` must be at least 2. Received: latent_dim=1."),
        ({"num_segments": 2}, ValueError, "`num_segments` must be at least 3. Received: num_segments=2."),
        ({"num_categories": 2}, ValueError, "`num_categories` must be at least 3. Received: num_categories=2."),
        ({"seed": -1}, ValueError, "`seed` must be an int of at least 0. Received: seed=-1."),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match="^" + re.escape(f"planted_log: {text}")):
        planted_log(**arguments)


def test_the_lowest_conflict_is_allowed() -> None:
    for num_tasks in (3, 4):
        log = planted_log(conflict=-1 / (num_tasks - 1), divergence=0.0, num_tasks=num_tasks, **SMALL)
        total = sum(_logits(log, task) for task in _tasks(log))
        np.testing.assert_allclose(total, total[0], atol=1e-9)  # every task is the others' opposite
