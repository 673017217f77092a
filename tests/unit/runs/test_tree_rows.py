"""A network beside trees: which trees it is compared with, and where there is nothing to compare."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.tiny_problem import tiny_problem
from tfmtl.baselines import PlainReport
from tfmtl.pipelines.runs import tree_rows
from tfmtl.pipelines.runs.tree_rows import against_trees

NAMES = ("boosted trees", "boosted trees, with ids")


def _found(**losses: tuple[float | None, float | None]) -> PlainReport:
    """What trees without and with ids lose, by task; of `watch` the RMSE."""
    metric = {"watch": "rmse"}
    tasks = {
        task: {name: {metric.get(task, "log_loss"): loss} for name, loss in zip(NAMES, pair, strict=True)}
        for task, pair in losses.items()
    }
    scores = {task: {name: np.full(3, place, np.float32) for place, name in enumerate(NAMES)} for task in losses}
    return PlainReport(tasks, {}, (), scores)


def test_the_trees_with_the_lower_loss_stand_beside_and_only_the_asked_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def compare(data: Any, predicted: Any, other: Any, resamples: int, seed: int) -> dict[str, Any]:
        seen.update(other["predictions"])
        return {
            task: dict.fromkeys(("auc", "gauc", "log_loss", "rmse", "mae"), 0) for task in ("click", "buy", "watch")
        }

    monkeypatch.setattr(tree_rows, "compare", compare)
    data: Any = SimpleNamespace(problem=tiny_problem())
    predicted = {"predictions": {"click": "own", "buy": "own", "watch": "own"}}
    found = against_trees(data, predicted, _found(click=(0.5, 0.6), watch=(2.0, 1.0)), 5, 0)
    assert {task: set(metrics) for task, metrics in found.items()} == {"click": {"auc", "log_loss"}, "watch": {"rmse"}}
    assert (seen["click"][0], seen["buy"], seen["watch"][0]) == (0.0, "own", 1.0)


def test_without_labels_there_is_nothing_to_compare() -> None:
    data: Any = SimpleNamespace(problem=tiny_problem())
    assert against_trees(data, {"predictions": {}}, _found(click=(None, None)), 5, 0) == {}
