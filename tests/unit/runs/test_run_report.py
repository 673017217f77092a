"""The page of a run: what is planted shows, and it needs no network."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import tfmtl
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel, load
from tfmtl.report import run_report
from tfmtl.training.evaluate import evaluate
from tfmtl.training.permutation_importance import permutation_importance, sample_rows
from tfmtl.training.row_slices import RowSlice


class Knows:
    """Predicts clicks from the topic alone."""

    def predict(self, features: dict[str, np.ndarray], **_: Any) -> dict[str, np.ndarray]:
        one = features["topic"].astype(np.float32) / 10.0
        return {"click": one, "buy": np.full_like(one, 0.5), "watch": np.full_like(one, 20.0)}


def test_only_what_a_model_reads_is_important(tiny_data: PreparedData) -> None:
    model: Any = Knows()
    found = permutation_importance(model, tiny_data, "train", rows=300, seed=1)
    parts = {*(each.name for each in tiny_data.problem.features), *(each.name for each in tiny_data.problem.sequences)}
    assert set(found["click"]) == parts
    assert {name for name, loss in found["click"].items() if loss != 0.0} == {"topic"}
    assert next(iter(found["click"])) == "topic" or found["click"]["topic"] < 0.0
    assert set(found["watch"].values()) == {0.0}
    assert found == permutation_importance(model, tiny_data, "train", rows=300, seed=1)


def test_rows_are_drawn_with_their_labels(tiny_data: PreparedData) -> None:
    features, sampled = sample_rows(tiny_data, "train", 50, np.random.default_rng(0))
    every, all_rows = sample_rows(tiny_data, "train", 10_000, np.random.default_rng(1))
    assert len(sampled["groups"]) == 50 and len(all_rows["groups"]) == tiny_data.num_examples("train")
    whole = {
        (user, item, float(price)): label
        for user, item, price, label in zip(
            every["user"], every["item"], every["views"], all_rows["labels"]["watch"], strict=True
        )
    }
    rows = zip(features["user"], features["item"], features["views"], sampled["labels"]["watch"], strict=True)
    matching = [np.isclose(whole[user, item, float(price)], label, equal_nan=True) for user, item, price, label in rows]
    assert np.mean(matching) > 0.9  # a few rows are alike in all of these


@pytest.fixture(scope="module")
def page(
    tiny_runs: tuple[Path, Path], tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[MultiTaskModel, dict[str, Any], str]:
    """Model, facts and text of the good run's page."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    model = load(tiny_runs[0] / "model.keras")
    run = shutil.copytree(tiny_runs[0], path.parent / "run")
    record = json.loads((run / "run.json").read_text())
    record["label_leaks"] = [
        {"feature": "views", "task": "click", "auc": 0.99},  # as runs wrote it that knew AUCs alone
        {"feature": "age", "task": "watch", "auc": 0.9, "measure": "c-index", "threshold": 0.85},
    ]
    (run / "run.json").write_text(json.dumps(record))
    facts = run_report(
        run, model, tiny_data, path, slices=[RowSlice.read("topic")], rows=100, resamples=20,
        beside={"click": {"boosted trees": {"auc": 0.625}}},
    )  # fmt: skip
    return model, facts, path.read_text()


def test_the_page_shows_what_was_measured(
    page: tuple[MultiTaskModel, dict[str, Any], str], tiny_data: PreparedData
) -> None:
    model, facts, text = page
    report = evaluate(model, tiny_data)
    click = {row["name"]: row for row in facts["tasks"][0]["metrics"]}
    assert click["auc"]["value"] == report["click"]["auc"]
    assert click["auc"]["constant"] == report["click"]["baseline"]["auc"] == 0.5
    assert click["auc"]["interval"]["low"] < click["auc"]["value"] < click["auc"]["interval"]["high"]
    assert click["auc"]["others"] == [0.625] and "boosted trees" in text
    assert f"{report['click']['auc']:.4f}" in text
    assert set(facts["calibration"]) == {"click", "buy"}
    [level] = facts["levels"]
    np.testing.assert_allclose(np.sum(level, axis=1), 1.0, rtol=1e-5)
    assert set(facts["conflict"]["cosines"]) == {"click, buy", "click, watch", "buy, watch"}
    assert "t1" in facts["slices"]["topic"]["click"]
    assert "views alone tells task click (AUC 0.990)" in text
    assert "age alone tells task watch (c-index 0.900)" in text
    assert facts["options"]["set.tower_units"] == [8] and facts["options"]["learning_rate"] == 0.02


def test_the_page_needs_no_network(page: tuple[MultiTaskModel, dict[str, Any], str]) -> None:
    text = page[2]
    assert not re.search(r"(src|href)=\"?https?://|<script|<link|url\(", text)
    assert text.count("data:image/png;base64,") == 6  # curves, reliability, importance, cosines twice, gates
    linked = set(re.findall(r'href="#(\w+)"', text))
    assert linked == set(re.findall(r'<h2 id="(\w+)"', text))


def test_a_run_without_monitor_and_gates(tiny_runs: tuple[Path, Path], tmp_path: Path) -> None:
    result = tfmtl("run-report", tiny_runs[1], "-o", tmp_path / "page.html", "--rows", 50, "--resamples", 10)
    assert result.code == 0, result.err
    text = (tmp_path / "page.html").read_text()
    assert "train with <code>--monitor-conflicts</code>" in text
    assert "no gates that mix experts" in text
    assert "<code>--slice country" in text
    assert f"Wrote {tmp_path / 'page.html'}" in result.out
