"""Survival tasks of three models beside a click and a watch time, from the log to an answering server."""

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tests.support.cpp_replay import Replay
from tests.support.survival_problem import CUTS, prepare_lives, survival_problem
from tfmtl.data import PreparedData
from tfmtl.export import ExportOptions, export
from tfmtl.export.replay import replay
from tfmtl.models import MultiTaskModel, load
from tfmtl.report import run_report
from tfmtl.schema import SurvivalTask
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.survival import SurvivalCurves
from tfmtl.training import TrainOptions, evaluate, fit

pytestmark = pytest.mark.process

OWN = {"survival_at_lifetime", "remaining_life_lifetime"}


class Lives(NamedTuple):
    data: PreparedData
    run: Path
    model: MultiTaskModel
    version: Path


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Lives:
    folder = tmp_path_factory.mktemp("lives")
    tasks = (
        SurvivalTask("lifetime", time="days", event="stopped", intervals=CUTS, entry="seen_at", time_upper="days_to"),
        SurvivalTask("risk", time="days", event="stopped", survival_quantiles=4, model="cox"),
        SurvivalTask("why", time="days", event="stopped", quantiles=3, cause="reason", causes=("cut_out", "wear_out")),
    )
    data = prepare_lives(folder, survival_problem(*tasks))
    model = fit(
        data,
        folder / "run",
        TrainOptions(preset="shared_bottom", epochs=10, batch_size=64, learning_rate=0.01),
        verbose=0,
    )
    return Lives(data, folder / "run", model, export(model, data, folder / "lives"))


def test_the_manifest_says_what_was_fitted(lives: Lives) -> None:
    manifest = json.loads((lives.data.directory / "manifest.json").read_text())
    facts = manifest["fitted_labels"]
    assert set(facts) == {"lifetime", "risk", "why"}
    assert facts["lifetime"]["edges"] == list(CUTS)
    assert len(facts["risk"]["edges"]) == 4
    assert 0.2 < facts["why"]["censored_share"] < 0.5
    assert sum(facts["risk"]["events"]) == facts["risk"]["events_total"]


def test_the_page_of_a_run_has_curves(lives: Lives, tmp_path: Path) -> None:
    run_report(lives.run, lives.model, lives.data, tmp_path / "page.html", rows=40, resamples=2)
    text = (tmp_path / "page.html").read_text()
    assert text.count("Curves by risk group") >= 1
    assert text.count('alt="Survival of four risk groups') == text.count("<h3>D-calibration</h3>")


def test_models_beat_kaplan_meier(lives: Lives) -> None:
    report = evaluate(lives.model, lives.data)
    for task in ("lifetime", "risk", "why"):
        found = report[task]
        assert found["harrell"] > 0.6, task
        assert found["harrell_low"] <= found["harrell"] <= found["harrell_high"]
        assert found["baseline"]["harrell"] == 0.5
        assert found["nll"] < found["baseline"]["nll"]
    assert report["click"]["auc"] > 0.6
    assert {"harrell_cut_out", "brier_wear_out"} <= set(report["why"])


def test_a_cox_model_has_the_baseline_of_all_training_rows(lives: Lives) -> None:
    baseline = lives.model.heads["risk"].baseline.numpy()
    assert (np.diff(baseline, prepend=0.0) > 0).all()
    np.testing.assert_array_equal(load(lives.run / "model.keras").heads["risk"].baseline, baseline)
    fresh = type(lives.model.heads["risk"]).from_config(lives.model.heads["risk"].get_config())
    fresh.build((None, 8))
    assert np.abs(fresh.baseline.numpy() - baseline).max() > 1e-3


def test_the_export_answers_as_the_training_graph(lives: Lives) -> None:
    differences = replay(lives.version).differences
    assert set(differences) >= OWN
    assert "regress_lifetime" in differences
    assert max(differences.values()) <= 1e-5


def test_a_calibrated_export_answers_with_calibrated_curves_alone(lives: Lives, tmp_path: Path) -> None:
    """All outputs and signatures follow from one curve, in the graph as in NumPy."""
    options = ExportOptions(tasks=("risk", "why"), calibrate={"risk": "km", "why": "km"})
    version = export(lives.model, lives.data, tmp_path, options=options)
    differences = replay(version).differences
    assert {"survival_at_risk", "remaining_life_why"} <= set(differences)
    assert max(differences.values()) <= 1e-5
    columns = {"genre": tf.constant(["g0", "g2", ""]), "quality": tf.constant([0.5, -1.0, math.nan])}
    loaded, plain = (tf.saved_model.load(str(each)).signatures for each in (version, lives.version))
    answers, before = loaded["serving_default"](**columns), plain["serving_default"](**columns)
    ages, times = tf.constant([0.0, 1.0, 4.0]), tf.constant([[0.5, 2.0]] * 3)
    for task in ("risk", "why"):
        survival = answers[f"{task}__survival"].numpy().astype(np.float64)
        assert np.abs(survival - before[f"{task}__survival"].numpy()).max() > 0.01
        curves = SurvivalCurves(np.array(lives.model.heads[task].edges), survival)
        np.testing.assert_allclose(answers[task], curves.expected_lifetime(), rtol=1e-4)
        np.testing.assert_allclose(answers[f"{task}__median"], curves.median_lifetime(), rtol=1e-3)
        at_age = loaded[f"survival_at_{task}"](**columns, times=times, age=ages)[f"{task}__survival"]
        np.testing.assert_allclose(at_age, curves.at_age(times[0], ages), rtol=1e-4)
        rest = loaded[f"remaining_life_{task}"](**columns, age=ages)[task]
        np.testing.assert_allclose(rest, curves.remaining_life(ages), rtol=1e-4)
    ended = answers["why__cif_cut_out"] + answers["why__cif_wear_out"]
    np.testing.assert_allclose(ended + answers["why__survival"], 1.0, atol=1e-5)
    extra = version / "assets.extra"
    assert "expected lifetime up to the last interval's end, calibrated (km)" in (extra / "signature.md").read_text()
    report = json.loads((extra / "calibration.json").read_text())
    assert report["risk"]["valid"]["nll_calibrated"] < report["risk"]["valid"]["nll"]


def test_signature_files_and_warm_up_know_all_signatures(lives: Lives) -> None:
    extra = lives.version / "assets.extra"
    page = (extra / "signature.md").read_text()
    assert "## survival_at_lifetime" in page
    assert "| `age` | float32 | `(B,)` | for how long the row has been running" in page
    assert json.loads((extra / "requests" / "remaining_life_risk.json").read_text())["inputs"]["age"][0] == 0.0


def test_ages_and_times_over_the_local_server(lives: Lives) -> None:
    columns = {"genre": ["g0", "g2"], "quality": [0.5, -1.0]}
    ages, times = [0.0, 4.0], [[0.0, 1.0, 9.0], [0.0, 1.0, 9.0]]
    loaded = tf.saved_model.load(str(lives.version)).signatures
    given = {"genre": tf.constant(columns["genre"]), "quality": tf.constant(columns["quality"])}
    survival = loaded["serving_default"](**given)["lifetime__survival"].numpy().astype(np.float64)
    curves = SurvivalCurves(np.array(CUTS), survival)
    with LocalServer(lives.version.parent, "lives", grpc_port=0, rest_port=0) as server:
        rest = RestClient(f"127.0.0.1:{server.rest_port}", "lives")
        with GrpcClient(f"127.0.0.1:{server.grpc_port}", "lives") as grpc:
            for client in (rest, grpc):
                answer = client.predict({**columns, "age": ages, "times": times}, signature_name="survival_at_lifetime")
                expected = curves.at_age(np.array(times[0]), np.array(ages))
                np.testing.assert_allclose(answer["lifetime__survival"], expected, atol=1e-5)
                answer = client.predict({**columns, "age": ages}, signature_name="remaining_life_lifetime")
                np.testing.assert_allclose(answer["lifetime"], curves.remaining_life(np.array(ages)), rtol=1e-4)
                whole = client.predict(columns)
                assert set(whole) >= {"click", "watch", "lifetime", "risk__median", "why__cif_cut_out"}


@pytest.mark.slow
def test_on_the_cpp_runtime(cpp_replay: Replay, lives: Lives) -> None:
    result = cpp_replay(lives.version)
    assert result.code == 0, result.err
    assert set(result.gaps) >= OWN
    assert max(result.gaps.values()) <= 1e-5


def test_calibration_is_refused_with_a_reason(lives: Lives, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lifetime"):
        export(lives.model, lives.data, tmp_path / "x", options=ExportOptions(calibrate={"lifetime": "isotonic"}))


def test_a_leaking_feature_is_found(tmp_path: Path) -> None:
    """A total that grows with the lifetime tells it; `quality`, which only has to do with it, does not."""
    from tests.support.survival_problem import survival_log
    from tfmtl.schema import NumericFeature
    from tfmtl.training import find_label_leaks

    log = survival_log()
    days = np.nan_to_num(log["days"].to_numpy(zero_copy_only=False))
    log = log.append_column("total", [100 * days])
    problem = survival_problem()
    leaky = survival_problem(features=(*problem.features, NumericFeature("total", transform="z_score", dim=4)))
    data = prepare_lives(tmp_path, leaky, log)
    assert [(leak.feature, leak.task) for leak in find_label_leaks(data)] == [("total", "lifetime")]


def test_expected_lifetimes_are_finite_for_missing_features(lives: Lives) -> None:
    loaded = tf.saved_model.load(str(lives.version)).signatures["serving_default"]
    answers = loaded(genre=tf.constant([""]), quality=tf.constant([math.nan]))
    assert all(np.isfinite(values.numpy()).all() for values in answers.values())


def test_a_report_on_the_data_and_the_screen_know_lifetimes(lives: Lives, tmp_path: Path) -> None:
    from rich.console import Console

    from tfmtl.pipelines.cli.screen import print_metrics
    from tfmtl.report import data_report

    data_report(lives.data, tmp_path / "report.html", rows=200)
    assert "lifetime" in (tmp_path / "report.html").read_text(encoding="utf-8")
    console = Console(width=200, record=True)
    print_metrics(console, {"network": evaluate(lives.model, lives.data)}, "lives")
    text = console.export_text()
    assert all(heading in text for heading in ("Harrell c", "Antolini c", "IBS", "D-calibration p", "a constant"))
