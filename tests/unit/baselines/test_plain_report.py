"""Boosted trees and linear models beside a network: what they read, what may choose, what they say."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from tests.support.tiny_problem import whole_split
from tfmtl.baselines import plain_report
from tfmtl.baselines.id_columns import MOST_CATEGORIES, IdColumns, known_rates
from tfmtl.baselines.plain_models import Rows, boosted_trees, linear_model
from tfmtl.baselines.split_columns import SplitColumns
from tfmtl.data import PreparedData

scores_of = importlib.import_module("tfmtl.baselines.plain_report")._scores


def test_columns_are_those_of_the_records(tiny_data: PreparedData) -> None:
    features, labels = whole_split(tiny_data, "test")
    columns = SplitColumns.of(tiny_data, "test")
    assert set(columns.ids) == {"user", "item", "previous_item", "topic", "device"}
    np.testing.assert_array_equal(columns.ids["item"], features["item"])
    prices = features["price"].numpy()
    np.testing.assert_array_equal(np.isnan(columns.numbers["price"]), prices == 0)
    np.testing.assert_array_equal(columns.numbers["price"][prices > 0], prices[prices > 0])
    np.testing.assert_array_equal(columns.numbers["age"], features["age"])
    np.testing.assert_array_equal(columns.numbers["tags (length)"], (features["tags"].numpy() > 0).sum(axis=1))
    np.testing.assert_array_equal(
        columns.numbers["clicked (length)"], (features["clicked__item"].numpy() > 0).sum(axis=1)
    )
    np.testing.assert_array_equal(columns.labels["watch"], labels["watch"])
    assert len(columns) == tiny_data.num_examples("test") and not columns.left_out
    assert len(SplitColumns.of(tiny_data, "train", 50)) == 50


def test_a_derived_number_without_a_value_is_missing(tiny_data: PreparedData) -> None:
    from tfmtl.baselines.split_columns import _Columns
    from tfmtl.schema import HistoryFeature

    problem = replace(tiny_data.problem, features=(*tiny_data.problem.features, HistoryFeature("clicked")))
    zeros = {each.key: np.zeros((2, *each.inner), each.dtype) for each in problem.tensors}
    columns = _Columns(problem)
    columns.add(zeros | {"clicked_newest__id": np.array([0, 9]), "clicked_newest__x": np.array([0.0, 0.4], np.float32)})
    numbers, ids = columns.joined()
    np.testing.assert_array_equal(numbers["clicked_newest"], np.array([np.nan, 0.4], np.float32))
    assert "clicked_newest__id" not in ids
    assert "clicked (length)" not in numbers, "the history counts it already"


def test_a_number_that_enters_once_is_missing_where_it_says_so(tiny_data: PreparedData) -> None:
    from tfmtl.baselines.split_columns import _Columns
    from tfmtl.schema import HistoryFeature

    features = (*tiny_data.problem.features, HistoryFeature("clicked", enters="once"))
    problem = replace(tiny_data.problem, features=features)
    columns = _Columns(problem)
    zeros = {each.key: np.zeros((2, *each.inner), each.dtype) for each in problem.tensors}
    columns.add(zeros | {"clicked_newest__x": np.array([-1.0, 0.4], np.float32)})
    numbers, _ = columns.joined()
    np.testing.assert_array_equal(numbers["clicked_newest"], np.array([np.nan, 0.4], np.float32))


def test_rates_leave_their_own_fold_out() -> None:
    generator = np.random.default_rng(3)
    ids, labels = generator.integers(0, 6, 400), generator.integers(0, 2, 400).astype(np.float32)
    labels[::7] = np.nan
    own, final = known_rates(ids, labels, 6, False, seed=5)
    folds = np.random.default_rng(5).integers(0, 5, 400)
    mean = np.nanmean(labels)
    for row in range(0, 400, 37):
        others = labels[(ids == ids[row]) & (folds != folds[row]) & ~np.isnan(labels)]
        assert own[row] == pytest.approx((others.sum() + 20 * mean) / (len(others) + 20), rel=1e-5)
    of_two = labels[(ids == 2) & ~np.isnan(labels)]
    assert final[2] == pytest.approx((of_two.sum() + 20 * mean) / (len(of_two) + 20), rel=1e-5)
    alone, _ = known_rates(np.arange(400), labels, 400, True, seed=5)
    assert len(np.unique(alone)) == 1, "a value that occurs once says nothing of its own label"


def test_the_most_frequent_ids_are_categories() -> None:
    ids = np.repeat(np.arange(400), np.arange(400))
    columns = IdColumns.of(ids, 400)
    found = columns.categories(np.array([0, 399, 1]))
    np.testing.assert_array_equal(found, [np.nan, 1.0, 0.0])
    assert columns.places.max() == MOST_CATEGORIES
    np.testing.assert_allclose(columns.log_counts(np.array([7])), np.log1p(7), rtol=1e-6)


def test_trees_and_linear_models_learn_and_take_missing_values() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(3000, 4)).astype(np.float32)
    odds = 2.0 * inputs[:, 0] - np.where(np.isnan(inputs[:, 1]), 0, inputs[:, 1])
    inputs[::5, 1] = inputs[:, 3] = np.nan
    labels = (odds + generator.logistic(size=3000) > 0).astype(np.float32)
    parts = [Rows(inputs[cut], labels[cut]) for cut in (slice(2000), slice(2000, 2500), slice(2500, None))]
    from tfmtl.metrics import roc_auc

    best = roc_auc(parts[2].labels, odds[2500:])
    for predict in (boosted_trees(parts[0], parts[1], True, (), 0), linear_model(parts[0], parts[1], True)):
        assert best - 0.04 < roc_auc(parts[2].labels, predict(parts[2].inputs)) <= best + 0.01
    empty = Rows(inputs[:0], labels[:0])
    for predict in (boosted_trees(parts[0], empty, True, (), 0), linear_model(parts[0], empty, True)):
        assert roc_auc(parts[2].labels, predict(parts[2].inputs)) > best - 0.06


def test_the_report_has_a_row_per_model_and_the_asked_labels_have_no_say(tiny_data: PreparedData) -> None:
    report = plain_report(tiny_data)
    assert list(report.tasks) == ["click", "buy", "watch"] and not report.notes
    assert list(report.tasks["click"]) == ["boosted trees", "boosted trees, with ids", "logistic regression"]
    assert list(report.tasks["watch"])[-1] == "linear regression"
    assert report.tasks["click"]["boosted trees, with ids"]["auc"] > 0.65
    assert report.tasks["watch"]["boosted trees, with ids"]["rmse"] < report.constants["watch"]["rmse"]
    train, valid, test = (SplitColumns.of(tiny_data, split) for split in ("train", "valid", "test"))
    blind = replace(test, labels={key: np.full_like(values, np.nan) for key, values in test.labels.items()})
    task = tiny_data.problem.tasks[0]
    seen, unseen = (scores_of(tiny_data, task, train, valid, part, 0) for part in (test, blind))
    for name, scores in seen.items():
        np.testing.assert_array_equal(scores, unseen[name])


def test_without_scikit_learn_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfmtl.schema.extras.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"boosted trees: needs sklearn. Install it: pip install 'tfmtl\[trees\]'"):
        plain_report(None)  # type: ignore[arg-type]


def test_splits_that_are_read_in_part_are_said(tiny_data: PreparedData) -> None:
    notes = plain_report(tiny_data, most_rows=100).notes
    assert [note for note in notes if "100 rows of the train split" in note]
    assert [note for note in notes if "100 rows of the valid split" in note]
