"""A feature that holds the label is found; honest ones, and ids of a few rows, are not."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.preprocess.job import preprocess
from tests.support.tiny_problem import tiny_log, tiny_problem
from tfmtl.data import PreparedData
from tfmtl.schema import CategoricalFeature, NumericFeature
from tfmtl.training import LabelLeak, find_label_leaks
from tfmtl.training.label_leaks import single_feature_auc


def pairwise_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Share of pairs of a positive and a negative row that the scores put in the right order, ties half."""
    differences = scores[positive][:, np.newaxis] - scores[~positive]
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def test_a_number_is_scored_by_its_value_in_either_direction(generator: np.random.Generator) -> None:
    positive = generator.random(400) < 0.3
    values = np.round(positive + generator.normal(size=400), 1).astype(np.float32)  # with ties
    expected = pairwise_auc(values, positive)
    assert expected > 0.6
    assert single_feature_auc(values, positive) == pytest.approx(expected)
    assert single_feature_auc(-values, positive) == pytest.approx(expected)


def test_an_id_is_scored_by_the_other_halfs_labels(generator: np.random.Generator) -> None:
    ids = generator.integers(0, 9, 600)
    positive = generator.random(600) < np.where(ids % 3 == 0, 0.8, 0.2)
    expected = []
    for half in (0, 1):
        own, other = slice(half, None, 2), slice(1 - half, None, 2)
        overall = positive[other].mean()
        means = [(positive[other][ids[other] == n].sum() + overall) / ((ids[other] == n).sum() + 1) for n in range(9)]
        expected.append(pairwise_auc(np.array(means)[ids[own]], positive[own]))
    assert single_feature_auc(ids, positive) == pytest.approx(np.mean(expected))


def test_an_id_of_one_row_each_tells_nothing(generator: np.random.Generator) -> None:
    positive = generator.random(1000) < 0.5
    assert single_feature_auc(generator.permutation(1000), positive) == pytest.approx(0.5)


def test_too_few_labels_say_nothing() -> None:
    positive = np.arange(100) < 18  # nine in each half
    assert single_feature_auc(positive.astype(np.float32), positive) is None
    positive = np.arange(100) < 20
    assert single_feature_auc(positive.astype(np.float32), positive) == 1.0


def test_planted_leaks_are_found_and_nothing_else(tmp_path: Path, tiny_data: PreparedData) -> None:
    assert find_label_leaks(tiny_data) == []
    log = tiny_log()
    click = np.nan_to_num(log["click"].to_numpy())
    log = log.append_column("spoiler", [[f"c{int(value)}" for value in click]])
    log = log.append_column("amount", [click * 3.0 + np.random.default_rng(0).random(len(click))])
    log = log.append_column("told_by_missing", [np.where(click, np.random.default_rng(1).random(len(click)), np.nan)])
    log = log.append_column("told_by_one", [[f"{n % 3}|{'won' if value else 'lost'}" for n, value in enumerate(click)]])
    log = log.append_column("words", [["a|b|c" if value else "a" for value in click]])
    spoilers = (
        CategoricalFeature("spoiler", dim=4),
        NumericFeature("amount", transform="z_score", dim=4),
        NumericFeature("told_by_missing", transform="z_score", dim=4),
        CategoricalFeature("told_by_one", dim=4, multi_valued=True, max_values=3),
        CategoricalFeature("words", dim=4, multi_valued=True, max_values=3),
    )
    problem = tiny_problem(features=(*tiny_problem().features, *spoilers))
    pq.write_table(log, tmp_path / "log.parquet")
    preprocess(problem, [str(tmp_path / "log.parquet")], str(tmp_path / "data"), num_shards=2)
    leaks = find_label_leaks(PreparedData(tmp_path / "data"))
    assert {(leak.feature, leak.task) for leak in leaks} >= {
        ("spoiler", "click"),
        ("amount", "click"),
        ("told_by_missing", "click"),
        ("told_by_one", "click"),
        ("words (length)", "click"),
    }
    found = {"spoiler", "amount", "told_by_missing", "told_by_one", "words", "words (length)"}
    assert {leak.feature for leak in leaks} == found
    assert all(leak.auc > 0.98 for leak in leaks)
    assert [leak.auc for leak in leaks] == sorted((leak.auc for leak in leaks), reverse=True)


def test_what_it_says() -> None:
    leak = LabelLeak("spoiler", "click", 0.99987654)
    assert str(leak) == (
        "feature 'spoiler' alone tells task 'click' (AUC 1.000 on the training split): it may contain the label, or be "
        "known only after it."
    )
    assert leak.to_dict() == {"feature": "spoiler", "task": "click", "auc": 0.999877}
    assert dataclasses.is_dataclass(leak)
