"""The table of a network beside trees: differences of the seeds' mean, and intervals over whole groups."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.quality.beside_trees import table
from tfmtl.metrics import roc_auc
from tfmtl.schema import BinaryTask, RegressionTask


def test_a_better_network_is_ahead_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(0)
    click, watch = (rng.random(300) < 0.3).astype(np.float32), rng.normal(size=300).astype(np.float32)
    click[::7] = np.nan
    data = SimpleNamespace(
        problem=SimpleNamespace(tasks=(BinaryTask("click"), RegressionTask("watch"), BinaryTask("without_trees"))),
        inputs=SimpleNamespace(label_means={"click": 0.3, "watch": 0.0}),
    )
    rough, good = (
        np.clip(0.5 + 0.1 * (click - 0.5) + rng.normal(0, noise, len(click)), 0.01, 0.99) for noise in (1, 0.05)
    )
    groups = np.arange(len(click)) // 3
    runs = [
        {"click": good, "watch": watch, "label click": click, "label watch": watch, "groups": groups} for _ in range(2)
    ]
    others = {
        "click": {"boosted trees": rough, "boosted trees, with ids": good, "logistic regression": rough},
        "watch": {"boosted trees": watch + 1.0, "boosted trees, with ids": watch, "linear regression": watch},
    }
    lines = table(data, "net", runs, others).splitlines()
    auc, _, rmse = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])
    assert auc[:3] == ["click", "AUC", "0.5000"] and rmse[:2] == ["watch", "RMSE"]
    known = ~np.isnan(click)
    assert float(auc[6].split()[0]) == pytest.approx(roc_auc(click[known], good[known]), abs=1e-4)
    difference, low = float(auc[7].split()[0]), float(auc[7].split("(")[1].split()[0])
    assert difference > low > 0.0, "ahead of noise, and not by chance"
    assert auc[8] == "+0.0000 (+0.0000 to +0.0000)"
    assert float(rmse[7].split()[0]) == pytest.approx(-1.0, abs=1e-4)
