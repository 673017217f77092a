"""A feature that holds the label is found; honest ones, and ids of a few rows, are not."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.rich_events import rich_problem
from tests.support.tiny_problem import tiny_log, tiny_problem
from tfmtl.data import PreparedData
from tfmtl.metrics.survival import harrell_index
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.schema import CategoricalFeature, NumericFeature, SurvivalTask
from tfmtl.training import LabelLeak, find_label_leaks, label_leaks
from tfmtl.training.label_leaks import _halves, single_feature_auc


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


def test_what_tells_the_session_is_no_leak_where_its_rows_share_their_label(generator: np.random.Generator) -> None:
    sessions = np.repeat(np.arange(500), 4)
    positive = np.repeat(generator.random(500) < 0.4, 4)
    assert single_feature_auc(sessions, positive) > 0.99  # by rows: the other half knows each session
    assert single_feature_auc(sessions, positive, sessions % 2 == 0) == pytest.approx(0.5)
    leak = np.where(positive, sessions % 3, 3 + sessions % 3)
    assert single_feature_auc(leak, positive, sessions % 2 == 0) == 1.0
    assert np.array_equal(_halves(np.array([b"u%d" % n for n in range(20)])), np.isin(np.arange(20), HALF_OF_20))
    assert _halves(np.array([b""] * 6)).tolist() == [True, False] * 3


HALF_OF_20 = np.argsort([f"u{n}" for n in range(20)])[::2]  # groups lie in the order of their texts


def test_a_history_that_holds_its_rows_own_future_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = tiny_problem()
    sequence = problem.sequences[0]
    column = problem.feature(sequence.columns[0])
    generator = np.random.default_rng(3)
    rows, length = 3000, sequence.max_length
    features = {each.key: np.zeros((rows, *each.inner), each.dtype) for each in problem.tensors}
    own = generator.integers(2, 9, rows).astype(np.int32)
    click = generator.random(rows) < 0.3
    events = generator.integers(2, 9, (rows, length)).astype(np.int32)
    events = np.where(events == own[:, np.newaxis], 2 + (events - 1) % 7, events)  # never the own id
    features[column.name] = own
    groups = np.array([b"u%d" % (n // 3) for n in range(rows)])
    labels = {key: np.full(rows, np.nan, np.float32) for key in problem.label_keys} | {"click": click.astype("f4")}

    def leaks(held: np.ndarray) -> dict[str, float]:
        features[sequence.column_key(column.name)] = held
        monkeypatch.setattr(label_leaks, "_sample", lambda data, rows: (features, labels, groups))
        found = find_label_leaks(SimpleNamespace(problem=problem), threshold=0.9)
        return {leak.feature: leak.auc for leak in found}

    assert leaks(events) == {}
    told = events.copy()
    told[:, -1] = np.where(click, own, told[:, -1])
    name = sequence.column_key(column.name)
    assert leaks(told) == {f"{name} (matches)": 1.0}
    told = events.copy()
    told[:, -1] = np.where(click, 9, told[:, -1])
    assert leaks(told).keys() == {name}


def test_numbers_and_gaps_of_events_that_tell_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = rich_problem()
    sequence = problem.sequences[0]
    generator = np.random.default_rng(3)
    rows, length = 3000, sequence.max_length
    blank = {each.key: np.zeros((rows, *each.inner), each.dtype) for each in problem.tensors}
    click = generator.random(rows) < 0.5
    sizes = generator.integers(1, length + 1, rows)
    blank[sequence.column_key("item")] = np.where(np.arange(length) < sizes[:, np.newaxis], 2, 0).astype(np.int32)
    groups = np.array([b"u%d" % (n // 3) for n in range(rows)])
    labels = {key: np.full(rows, np.nan, np.float32) for key in problem.label_keys} | {"click": click.astype("f4")}
    tensors = problem.feature("views").tensors(problem)
    key = next(sequence.column_key(each.key) for each in tensors if each.dtype == "float32")
    noise = generator.normal(size=(rows, length)).astype(np.float32)

    def leaks(**held: np.ndarray) -> set[str]:
        features = {**blank, key: noise, **held}
        monkeypatch.setattr(label_leaks, "_sample", lambda data, rows: (features, labels, groups))
        return {leak.feature for leak in find_label_leaks(SimpleNamespace(problem=problem), threshold=0.95)}

    assert leaks() == set()
    newest = noise.copy()
    newest[np.arange(rows), sizes - 1] += 9.0 * click
    assert f"{key} (newest)" in leaks(**{key: newest})
    assert leaks(**{key: noise + 9.0 * click[:, np.newaxis]}) >= {f"{key} (mean)", f"{key} (newest)"}
    gaps = generator.integers(2, 6, (rows, length)).astype(np.int32)
    assert leaks(**{sequence.gap_key: gaps}) == set()
    gaps[np.arange(rows), sizes - 1] = np.where(click, 4, 5)
    assert leaks(**{sequence.gap_key: gaps}) == {f"{sequence.gap_key} (newest)"}


def test_what_grows_with_a_lifetime_is_found_by_its_c_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A total is the lifetime times something of its own: no AUC of one event is near 1, but most pairs are right."""
    task = SurvivalTask("life", time="days", event="stopped", unit="days", equal=4)
    total, honest = NumericFeature("total", "z_score"), NumericFeature("honest", "z_score")
    brand = CategoricalFeature("brand")
    problem = tiny_problem(features=(total, honest, brand), sequences=(), tasks=(task,))
    generator = np.random.default_rng(0)
    rows = 2000
    quality, brands = generator.normal(size=rows), generator.integers(2, 6, rows).astype(np.int32)
    life = np.exp(quality + 0.5 * (brands - 3.5) + generator.normal(size=rows))
    seen = generator.exponential(4.0, rows)
    days, stopped = np.minimum(life, seen), life <= seen
    features = {
        "total": np.log(days * np.exp(0.5 * generator.normal(size=rows))).astype(np.float32),
        "honest": quality.astype(np.float32),
        "brand": brands,
    }
    labels = {"life": days.astype(np.float32), "life__event": stopped.astype(np.float32)}
    monkeypatch.setattr(label_leaks, "_sample", lambda data, rows: (features, labels, np.full(len(days), b"")))
    data = SimpleNamespace(problem=problem)
    [leak] = find_label_leaks(data)
    assert (leak.feature, leak.task, leak.measure) == ("total", "life", "c-index")
    risk = -features["total"].astype(np.float64)
    expected = [harrell_index(days[half::2], stopped[half::2], risk[half::2]) for half in (0, 1)]
    assert leak.auc == pytest.approx(np.mean(expected))
    all_of_them = {leak.feature: leak.auc for leak in find_label_leaks(data, threshold=0.0)}
    assert 0.65 < all_of_them["honest"] < 0.8
    assert 0.55 < all_of_them["brand"] < 0.75
    assert label_leaks.single_feature_auc(features["total"], days > np.median(days)) < 0.98


def test_without_ends_no_c_index_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = tiny_problem(
        features=(NumericFeature("total", "z_score"),),
        sequences=(),
        tasks=(SurvivalTask("life", time="days", event="stopped", unit="days", equal=4),),
    )
    days = np.arange(100, dtype=np.float32)
    labels = {"life": days, "life__event": np.zeros(100, np.float32)}
    monkeypatch.setattr(label_leaks, "_sample", lambda data, rows: ({"total": days}, labels, np.full(100, b"")))
    assert find_label_leaks(SimpleNamespace(problem=problem), threshold=0.0) == []


def test_what_it_says() -> None:
    leak = LabelLeak("spoiler", "click", 0.99987654)
    assert str(leak) == (
        "feature 'spoiler' alone tells task 'click' (AUC 1.000 on the training split): it may contain the label, or be "
        "known only after it."
    )
    assert leak.to_dict() == {
        "feature": "spoiler", "task": "click", "auc": 0.999877, "measure": "AUC", "threshold": 0.98
    }  # fmt: skip
    assert "(c-index 0.900 on" in str(LabelLeak("total", "lifetime", 0.9, "c-index", 0.85))
    assert dataclasses.is_dataclass(leak)
