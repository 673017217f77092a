"""The page about lifetimes shows what was measured, beside Kaplan-Meier."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.survival_problem import prepare_lives, survival_problem
from tests.support.tiny_problem import tiny_model
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel
from tfmtl.report import survival_report
from tfmtl.report.ablation import without_features
from tfmtl.report.survival_section import survival_section
from tfmtl.schema import BinaryTask, SurvivalTask
from tfmtl.tasks import survival_report as measured
from tfmtl.training.evaluate import evaluate, metric_ends, metrics_of, predict
from tfmtl.training.intervals import metric_intervals

LONG = SurvivalTask("long", time="days", event="stopped", intervals=(3.0, 10.0, 30.0))
SHORT = SurvivalTask("short", time="days", event="stopped", intervals=(1.0, 3.0, 10.0))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare_lives(tmp_path_factory.mktemp("lives"), survival_problem(LONG, SHORT))


@pytest.fixture(scope="module")
def model(data: PreparedData) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    made = tiny_model(data.inputs, "creative")
    made.compile(keras.optimizers.Adam(0.01))
    made.fit(data.train(64), epochs=4, verbose=0)
    return made


def test_the_page_has_everything_inside(model: MultiTaskModel, data: PreparedData, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    facts = survival_report(model, data, path)
    page = path.read_text()
    assert page.count('<img src="data:image/png;base64,') == 6  # three of either task
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    report = evaluate(model, data)
    for task in ("long", "short"):
        assert f"{report[task]['harrell']:.4f}" in page
        assert f"{report[task]['ibs']:.4f}" in page
        assert f"{report[task]['baseline']['ibs']:.4f}" in page
    assert [each["name"] for each in facts["tasks"]] == ["long", "short"]
    assert {row["feature"] for row in facts["ablation"]} == {"nothing", "genre", "quality"}


def test_intervals_are_computed_once(
    model: MultiTaskModel, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    index_interval = measured.index_interval
    monkeypatch.setattr(
        measured, "index_interval", lambda *given, **more: calls.append(1) or index_interval(*given, **more)
    )
    predicted = predict(model, data, "test")
    drawn = metric_intervals(data, predicted, 20)["long"]
    assert not calls, "rows are drawn already"
    report = evaluate(model, data)["long"]
    assert len(calls) == 6, "harrell, antolini and ibs of two tasks, and not of the constant"
    for metric in ("harrell", "antolini", "ibs"):
        assert report[f"{metric}_low"] < report[metric] < report[f"{metric}_high"]
        assert drawn[metric]["low"] < report[metric] < drawn[metric]["high"]
    assert "harrell_low" not in report["baseline"] and "harrell_low" not in drawn


def test_the_feature_that_tells_the_lifetime_is_missed(model: MultiTaskModel, data: PreparedData) -> None:
    predicted = predict(model, data, "test")
    whole = metrics_of(data, predicted)["long"]["harrell"]
    without = without_features(model, data, "test", predicted)
    assert without["quality"]["long"]["harrell"] < whole - 0.03
    assert abs(without["genre"]["long"]["harrell"] - whole) < abs(without["quality"]["long"]["harrell"] - whole)
    assert "baseline" not in without["genre"]["long"]


def test_terms_of_one_lifetime_are_compared_where_they_overlap(model: MultiTaskModel, data: PreparedData) -> None:
    predicted = predict(model, data, "test")
    section = survival_section(data, predicted, metrics_of(data, predicted), metric_ends(data, predicted))
    [(one, other, time, apart)] = section.disagreements
    assert (one, other, time) == ("long", "short", 10.0)
    answers = predicted["predictions"]
    assert apart == pytest.approx(np.abs(answers["long__survival"][:, 1] - answers["short__survival"][:, 2]).mean())


def test_few_rows_have_no_pictures(data: PreparedData, model: MultiTaskModel, tmp_path: Path) -> None:
    predicted = predict(model, data, "test")
    labels = {key: np.where(np.arange(len(values)) < 9, values, np.nan) for key, values in predicted["labels"].items()}
    few = {**predicted, "labels": labels}
    section = survival_section(data, few, metrics_of(data, few), metric_ends(data, few))
    assert section.pictures == {}
    assert all("pictures" not in each for each in section.tasks)
    clicks = prepare_lives(tmp_path, survival_problem(tasks=(BinaryTask("click"),)))
    with pytest.raises(ValueError, match="`data` must have a survival task"):
        survival_report(tiny_model(clicks.inputs), clicks, tmp_path / "none.html")
