"""The reports of tasks: their keys, None for undefined values, and that metrics load no TensorFlow."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics

import tfmtl.metrics
from tfmtl.metrics import binary_report, regression_report

BINARY_KEYS = [
    "auc",
    "gauc",
    "gauc_groups",
    "gauc_groups_skipped",
    "log_loss",
    "normalized_entropy",
    "ece",
    "mean_prediction",
    "mean_label",
    "examples",
    "missing_labels",
]
REGRESSION_KEYS = ["rmse", "mae", "mean_prediction", "mean_label", "examples", "missing_labels"]


def test_binary_report() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random(400)
    known = (generator.random(400) < probabilities).astype(float)
    missing = generator.random(400) < 0.25
    groups = generator.integers(0, 40, 400).astype(str)
    report = binary_report(np.where(missing, np.nan, known), probabilities, groups)
    assert list(report) == BINARY_KEYS
    assert report["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(known[~missing], probabilities[~missing]))
    assert report["log_loss"] == pytest.approx(sklearn.metrics.log_loss(known[~missing], probabilities[~missing]))
    assert report["mean_prediction"] == pytest.approx(probabilities[~missing].mean())
    assert report["mean_label"] == pytest.approx(known[~missing].mean())
    assert (report["examples"], report["missing_labels"]) == (400 - missing.sum(), missing.sum())
    assert report["gauc_groups"] + report["gauc_groups_skipped"] == len(set(groups[~missing]))
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_groups_add_their_keys_alone() -> None:
    labels, probabilities = [0, 1, 1, 0], [0.2, 0.6, 0.3, 0.4]
    without = binary_report(labels, probabilities)
    with_groups = binary_report(labels, probabilities, ["a", "a", "b", "b"])
    assert {**with_groups, **without} == with_groups
    assert set(with_groups) - set(without) == {"gauc", "gauc_groups", "gauc_groups_skipped"}
    assert (without["auc"], with_groups["gauc"]) == (0.75, 0.5)


def test_regression_report() -> None:
    report = regression_report([1.0, math.nan, 3.0], [2.0, 9.0, 5.0])
    assert list(report) == REGRESSION_KEYS
    assert report == {
        "rmse": pytest.approx(math.sqrt(2.5)),
        "mae": 1.5,
        "mean_prediction": 3.5,
        "mean_label": 2.0,
        "examples": 2,
        "missing_labels": 1,
    }


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_undefined_values_are_none(kind: str) -> None:
    columns = ([math.nan, math.nan], [0.5, 0.5])
    report = binary_report(*columns, ["a", "b"]) if kind == "binary" else regression_report(*columns)
    counts = {"examples": 0, "missing_labels": 2, "gauc_groups": 0, "gauc_groups_skipped": 0}
    assert report == {key: counts.get(key) for key in (BINARY_KEYS if kind == "binary" else REGRESSION_KEYS)}
    json.dumps(report, allow_nan=False)


def test_one_class_leaves_the_rest_defined() -> None:
    report = binary_report([1, 1], [0.5, 0.5])
    assert report["auc"] is None
    assert report["normalized_entropy"] is None
    assert report["log_loss"] == pytest.approx(math.log(2))
    assert report["ece"] == 0.5


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"binary_report: `probabilities` must lie in \[0, 1\]. .* probabilities=4.0"):
        binary_report([1, 0], [0.5, 4.0])


@pytest.mark.process
def test_exact_metrics_load_neither_keras_nor_tensorflow() -> None:
    code = (
        "import sys, tfmtl.metrics; from tfmtl.metrics import roc_auc; assert roc_auc([0, 1], [0, 1]) == 1.0;"
        "before = {'keras', 'tensorflow'} & set(sys.modules); from tfmtl.metrics import HistogramAUC;"
        "print(sorted(before), sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['keras', 'tensorflow']"


def test_every_public_name_is_there() -> None:
    for name in tfmtl.metrics.__all__:
        assert callable(getattr(tfmtl.metrics, name))
    with pytest.raises(AttributeError, match=r"module 'tfmtl.metrics' has no attribute 'auc'. It has: \['GroupedAUC'"):
        _ = tfmtl.metrics.auc
