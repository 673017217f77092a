"""Whether a run is better than another: paired differences against NumPy, and verdicts on planted runs."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.tiny_problem import tiny_inputs, tiny_problem
from tfmtl.metrics import roc_auc
from tfmtl.metrics.bootstrap import group_numbers, percentile_interval, resampled_rows
from tfmtl.schema import BinaryTask, Keys
from tfmtl.training.intervals import BETTER, EQUAL, WORSE, compare, metric_intervals, take_rows

PROBLEM = tiny_problem(tasks=(BinaryTask("click"),), sequences=())
USERS, ROWS = 40, 600


def data_of(**keys: Any) -> Any:
    problem = replace(PROBLEM, keys=Keys(**keys)) if keys else PROBLEM
    return SimpleNamespace(problem=problem, inputs=tiny_inputs(problem))


def predicted(noise: float, seed: int = 0, rows: int = ROWS) -> dict[str, Any]:
    """Scores of a run that sees the truth through noise; labels and groups follow from the seed alone."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=rows)
    labels = (truth + generator.normal(size=rows) > 0.0).astype(np.float32)
    labels[generator.random(rows) < 0.1] = np.nan
    groups = np.array([b"u%d" % user for user in generator.integers(0, USERS, rows)], object)
    scores = 1.0 / (1.0 + np.exp(-(truth + noise * generator.normal(size=rows))))
    return {"groups": groups, "labels": {"click": labels}, "predictions": {"click": scores.astype(np.float32)}}


def test_the_difference_is_that_of_numpy() -> None:
    good, poor = predicted(0.1), predicted(3.0)
    found = compare(data_of(), good, poor, resamples=25, seed=3)["click"]["auc"]
    labels, scores = good["labels"]["click"], [each["predictions"]["click"] for each in (good, poor)]
    values = [roc_auc(labels, each) for each in scores]
    assert (found["value"], found["baseline"]) == pytest.approx(values)
    assert found["difference"] == pytest.approx(values[0] - values[1])
    differences = [
        roc_auc(labels[rows], scores[0][rows]) - roc_auc(labels[rows], scores[1][rows])
        for rows in resampled_rows(ROWS, group_numbers(good["groups"]), 25, 3)
    ]
    assert (found["low"], found["high"]) == pytest.approx(percentile_interval(differences))


def test_verdicts_know_which_side_is_better() -> None:
    good, poor = predicted(0.1), predicted(3.0)
    found = compare(data_of(), good, poor, 60)["click"]
    assert {metric: found[metric]["verdict"] for metric in ("auc", "gauc", "log_loss")} == dict.fromkeys(
        ("auc", "gauc", "log_loss"), BETTER
    )
    assert compare(data_of(), poor, good, 60)["click"]["log_loss"]["verdict"] == WORSE
    same = compare(data_of(), good, good, 20)["click"]
    assert {each["verdict"] for each in same.values()} == {EQUAL}
    assert same["auc"]["low"] == same["auc"]["high"] == 0.0
    assert "mean_label" not in found and "examples" not in found


def test_runs_alike_are_rarely_told_apart() -> None:
    """Two runs of one quality: at 95 % about one in twenty comparisons says better or worse."""
    verdicts = []
    for seed in range(40):
        one, other = predicted(1.0, seed, 200), predicted(1.0, seed, 200)
        generator = np.random.default_rng(1000 + seed)
        for each in (one, other):
            logits = np.log(each["predictions"]["click"] / (1.0 - each["predictions"]["click"]))
            each["predictions"] = {"click": 1.0 / (1.0 + np.exp(-(logits + generator.normal(size=200))))}
        verdicts.append(compare(data_of(), one, other, 60, seed)["click"]["auc"]["verdict"])
    assert verdicts.count(EQUAL) >= 34


def test_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="must be of the same rows"):
        compare(data_of(), predicted(1.0), predicted(1.0, seed=1), 10)


def test_a_metric_without_an_interval_is_left_out() -> None:
    one = predicted(1.0)
    few = take_rows(one, np.flatnonzero(one["labels"]["click"] == 1.0)[:5])
    assert "auc" not in metric_intervals(data_of(), few, 20)["click"]
    assert metric_intervals(data_of(), few, 20)["click"]["log_loss"]["low"] > 0.0
    assert metric_intervals(data_of(), take_rows(one, np.zeros(ROWS, bool)), 20) == {"click": {}}
    inside = metric_intervals(data_of(), one, 50)["click"]["auc"]
    assert inside["low"] < roc_auc(one["labels"]["click"], one["predictions"]["click"]) < inside["high"]
