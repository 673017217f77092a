"""What `tfmtl evaluate` prints and adds: lines of warning, intervals of small classes, score formulas."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from tfmtl.display.small_classes import auc_interval, small_class_note
from tfmtl.metrics import binary_report, grouped_auc, roc_auc
from tfmtl.pipelines.cli.screen import print_metrics
from tfmtl.pipelines.runs import score_report
from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, Problem, RegressionTask, Split


def printed(report: dict) -> str:
    out = io.StringIO()
    print_metrics(Console(file=out, width=300), {"mmoe": report}, "test")
    return out.getvalue()


def drawn(positives: int, negatives: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.repeat([1.0, 0.0], [positives, negatives])
    return labels, 1 / (1 + np.exp(-(labels + generator.normal(size=len(labels)))))


def test_a_log_loss_worse_than_the_mean_labels_is_said() -> None:
    labels, probabilities = drawn(400, 400)
    good, bad = binary_report(labels, probabilities), binary_report(labels, 1 - probabilities)
    assert bad["normalized_entropy"] > 1.0
    assert "NE of buy is above 1 (mmoe)" in printed({"buy": bad})
    assert "above 1" not in printed({"buy": {**good, "normalized_entropy": 1.0}})


def test_the_interval_covers_the_auc_as_often_as_it_says() -> None:
    true = 0.7602  # of two normal distributions one deviation apart
    found = [auc_interval(roc_auc(*drawn(12, 300, seed)), 12, 300) for seed in range(400)]
    assert 0.92 <= np.mean([low <= true <= high for low, high in found]) <= 0.99
    low, high = auc_interval(1.0, 3, 1000)
    assert low < 0.9 and high == 1.0
    assert auc_interval(0.8, 10, 990) == pytest.approx(auc_interval(0.8, 990, 10), abs=0.1)


@pytest.mark.parametrize(("positives", "said"), [(7, "only 7 of 1,000 examples are positive"), (100, None)])
def test_an_auc_of_a_small_class_comes_with_an_interval(positives: int, said: str | None) -> None:
    report = binary_report(*drawn(positives, 1000 - positives))
    note = small_class_note("buy", report)
    assert (note is None) == (said is None)
    if said:
        assert said in note and said in printed({"buy": report})
    assert "are negative" in small_class_note("buy", binary_report(*drawn(995, 5)))
    assert small_class_note("buy", {**report, "auc": None}) is None


def test_the_number_of_groups_behind_a_gauc_is_printed() -> None:
    labels, probabilities = drawn(300, 300)
    report = binary_report(labels, probabilities, np.tile(np.arange(50), 12))
    assert report["gauc_groups_skipped"] == 0
    assert "GAUC of buy: over 50 groups\n" in printed({"buy": report})


@pytest.mark.parametrize("calibrated", [False, True])
def test_score_formulas_are_measured_as_exports_answer_them(calibrated: bool) -> None:
    problem = Problem(
        "shop",
        keys=Keys("user"),
        features=(CategoricalFeature("item"),),
        tasks=(BinaryTask("click"), BinaryTask("buy"), RegressionTask("watch")),
        split=Split(by="row"),
    )
    generator = np.random.default_rng(0)
    labels = {
        "click": generator.integers(0, 2, 300).astype(np.float32),
        "buy": np.where(generator.random(300) < 0.3, np.nan, generator.integers(0, 2, 300)).astype(np.float32),
        "watch": np.ones(300, np.float32),
    }
    predictions = {name: generator.random(300).astype(np.float32) for name in labels}
    groups = np.repeat(np.arange(30), 10).astype("S")
    result = {"groups": groups, "labels": labels, "predictions": predictions}
    report: dict = {name: {} for name in labels}
    scores = score_report.read_scores(problem, {"value": "click*buy + 0.1*watch"})
    calibrators = {"buy": SimpleNamespace(of_arrays=lambda outputs: {"": outputs[""] ** 3})} if calibrated else {}
    score_report.add_scores(report, SimpleNamespace(problem=problem), result, scores, calibrators)
    buy = predictions["buy"].astype(np.float64) ** (3 if calibrated else 1)
    values = predictions["click"] * buy + 0.1 * predictions["watch"]
    for task in ("click", "buy"):
        assert report[task]["scores"]["value"]["auc"] == pytest.approx(roc_auc(labels[task], values))
        if problem.group_column is not None:
            expected = grouped_auc(labels[task], values, groups).value
            assert report[task]["scores"]["value"]["gauc"] == pytest.approx(expected)
    assert "scores" not in report["watch"]
    shown = printed({"click": {**binary_report(labels["click"], predictions["click"]), **report["click"]}})
    assert "value" in shown and f"{report['click']['scores']['value']['auc']:.4f}" in shown


def test_score_formulas_need_a_yes_no_task() -> None:
    tasks = (RegressionTask("watch"),)
    problem = Problem("shop", features=(CategoricalFeature("item"),), tasks=tasks, split=Split(by="row"))
    with pytest.raises(ValueError, match="must be measured on a yes/no task"):
        score_report.read_scores(problem, {"value": "watch*2"})
    assert score_report.read_scores(problem, {}) == {}


def test_boosted_trees_stand_below_the_constant() -> None:
    report = binary_report(*drawn(400, 400))
    lines = printed({"buy": {**report, "baseline": report, "plain_models": {"boosted trees": report}}}).splitlines()
    assert [line.split("│")[2].strip() for line in lines if "│ buy" in line] == ["mmoe", "a constant", "boosted trees"]
