"""A search over options: what it tries, prunes, goes on with after a kill, and writes."""

import dataclasses
import json
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from tests.support.command import tfmtl
from tests.support.fresh_process import FreshProcess
from tests.support.toy_study import SPACE, toy_study
from tfmtl.data import PreparedData
from tfmtl.models import load
from tfmtl.pipelines.cli.run_file import read_run_file
from tfmtl.pipelines.tuning.search_space import SearchSpace
from tfmtl.pipelines.tuning.study_facts import study_facts
from tfmtl.report.tuning_report import tuning_report
from tfmtl.training import TrainOptions

pytestmark = pytest.mark.process


def facts_of(study: Any) -> list[tuple]:
    """Of every trial what must not depend on when it was made."""
    return [
        (trial.number, trial.state.name, trial.params, trial.intermediate_values, trial.value)
        for trial in study.optuna.trials
    ]


@pytest.fixture(scope="module")
def searched(tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    """A search of eight trials and what it said."""
    said: list[str] = []
    study = toy_study(tiny_data.directory, tmp_path_factory.mktemp("tune") / "out")
    study.run(8, said.append)
    return study, said


def test_a_search_finds_prunes_and_keeps_the_best(searched: tuple[Any, list[str]]) -> None:
    study, said = searched
    states = [trial.state.name for trial in study.optuna.trials]
    assert len(states) == 8 and states.count("PRUNED") >= 1 and states.count("COMPLETE") >= 4
    pruned = next(trial for trial in study.optuna.trials if trial.state.name == "PRUNED")
    assert len(pruned.intermediate_values) < 3
    best = min((trial for trial in study.optuna.trials if trial.state.name == "COMPLETE"), key=lambda t: t.value)
    assert study.best.number == best.number
    kept = [path.parent.name for path in study.folder.path.glob("trials/*/model.keras")]
    assert kept == [f"{best.number:04}"]
    assert sum("stopped after" in sentence for sentence in said) == states.count("PRUNED")


def test_the_best_trial_is_a_run_file(searched: tuple[Any, list[str]], tiny_data: PreparedData) -> None:
    study, _ = searched
    names = [*(field.name for field in dataclasses.fields(TrainOptions)), "data"]
    read = read_run_file(study.folder.best, "train", names)
    assert read["data"] == str(tiny_data.directory)
    assert read["learning_rate"] == pytest.approx(study.best.params["learning_rate"])
    assert read["preset_options"] == [f"num_experts={study.best.params['set.num_experts']}"]
    assert read["monitor"] == "val_mean_relative_loss"


@pytest.mark.parametrize("reports", [1, 7])
def test_a_killed_search_ends_as_one_that_was_not(
    searched: tuple[Any, list[str]], tiny_data: PreparedData, tmp_path: Path, reports: int
) -> None:
    output = tmp_path / "out"
    process = FreshProcess("-m", "tests.unit.runs.killed_study", tiny_data.directory, output, reports, "SIGKILL")
    assert process.wait() == -signal.SIGKILL
    said: list[str] = []
    again = toy_study(tiny_data.directory, output)
    running = [trial.number for trial in again.optuna.trials if trial.state.name == "RUNNING"]
    assert len(running) == 1
    again.run(8, said.append)
    assert said[0] == f"Trial {running[0]} was stopped; it goes on."
    assert facts_of(again) == facts_of(searched[0])


def test_a_search_that_is_interrupted_goes_on(
    searched: tuple[Any, list[str]], tiny_data: PreparedData, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    process = FreshProcess("-m", "tests.unit.runs.killed_study", tiny_data.directory, output, 4, "SIGINT")
    assert process.wait() != 0
    again = toy_study(tiny_data.directory, output)
    states = [trial.state.name for trial in again.optuna.trials]
    assert len(states) < 8 and "FAIL" not in states
    again.run(8, lambda sentence: None)
    assert facts_of(again) == facts_of(searched[0])


def test_side_by_side_every_trial_is_made_once(tiny_data: PreparedData, tmp_path: Path) -> None:
    study = toy_study(tiny_data.directory, tmp_path / "out", jobs=3, prune=False)
    study.run(6, lambda sentence: None)
    assert [trial.state.name for trial in study.optuna.trials] == ["COMPLETE"] * 6
    study.run(6, lambda sentence: None)
    assert len(study.optuna.trials) == 6


def test_a_trial_that_fails_is_told(tiny_data: PreparedData, tmp_path: Path) -> None:
    said: list[str] = []
    study = toy_study(tiny_data.directory, tmp_path / "out", {"optimizer": "[sgd]"})
    study.run(1, said.append)
    assert said == ["Trial 0 (optimizer sgd) failed: sgd is not for toys."]
    assert study.best is None and not study.folder.best.exists()
    facts = study_facts(study)
    assert facts["trials"][0]["error"] == "sgd is not for toys."
    tuning_report(facts, tmp_path / "page.html")
    assert "sgd is not for toys." in (tmp_path / "page.html").read_text()


def test_another_search_needs_another_folder(searched: tuple[Any, list[str]], tiny_data: PreparedData) -> None:
    with pytest.raises(ValueError, match="which has another space, seed"):
        toy_study(tiny_data.directory, searched[0].folder.path, {"learning_rate": "[0.1]"}, seed=2)


def test_the_page_needs_no_network(searched: tuple[Any, list[str]], tmp_path: Path) -> None:
    study, _ = searched
    facts = study_facts(study)
    assert set(facts["importances"]) == set(SPACE)
    assert sum(facts["importances"].values()) == pytest.approx(1.0)
    tuning_report(json.loads(json.dumps(facts)), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"(src|href)=\"?https?://|<script|<link|url\(", page)
    assert f"Trial {study.best.number}." in page and "stopped early" in page


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "must name a setting at least"),
        ({"learning": "[0.1]"}, "Received: 'learning'. Did you mean 'learning_rate'?"),
        ({"set.experts": "[2]"}, "options of mmoe behind 'set.'"),
        ({"learning_rate": "0.1"}, "must give choices or a range"),
        ({"learning_rate": "{low: 1, high: 0.1}"}, "must give choices or a range"),
        ({"learning_rate": "{low: 0, high: 0.1, log: true}"}, "must have a low above 0"),
        ({"learning_rate": "{low: 1, height: 3}"}, "must give choices or a range"),
        ({"learning_rate": "[0.1, -1]"}, "TrainOptions: `learning_rate` must be a positive"),
        ({"preset": "[mmoe, dttn]"}, "TrainOptions: `preset` must be one of"),
        ({"learning_rate": "[0.1"}, "must be YAML"),
    ],
)
def test_a_space_that_is_none_is_refused(texts: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        SearchSpace(texts, TrainOptions("mmoe"))
    assert message in str(caught.value)


def test_options_of_a_preset_are_searched_where_it_has_them() -> None:
    fixed = TrainOptions("mmoe", {"num_experts": 3, "hidden_units": (8,)})
    texts = {"set.num_experts": "[2]", "preset": "[mmoe, shared_bottom]", "set.tower_units": "[[4], [8, 4]]"}
    space = SearchSpace(texts, fixed)
    for preset, expected in {
        "mmoe": {"num_experts": 2, "hidden_units": (8,), "tower_units": (8, 4)},
        "shared_bottom": {"hidden_units": (8,), "tower_units": (8, 4)},
    }.items():
        trial = optuna.trial.FixedTrial(
            {"preset": json.dumps(preset), "set.num_experts": "2", "set.tower_units": "[8, 4]"}
        )
        assert space.options(space.suggest(trial)).preset_options == expected


def test_the_command_searches_with_real_trials_and_the_best_is_repeated_to_the_bit(
    tiny_data: PreparedData, tmp_path: Path
) -> None:
    small = "--set hidden_units=[8] --set tower_units=[4] --epochs 1 --batch-size 512 --trials 1".split()
    space = ("--space", "learning_rate={low: 1e-3, high: 1e-2, log: true}")
    output = tmp_path / "out"
    result = tfmtl("tune", tiny_data.directory, "-o", output, "--preset", "shared_bottom", *small, *space)
    assert result.code == 0, result.err + (output / "trials/0000.log").read_text()[-2000:]
    assert "Best: trial 0, val_mean_relative_loss" in result.out
    record = json.loads((output / "trials/0000/run.json").read_text())
    assert record["options"]["learning_rate"] == pytest.approx(toy_params(output)["learning_rate"], rel=1e-12)
    assert (output / "report.html").is_file()
    result = tfmtl("train", "--config", output / "best.yaml", "-o", tmp_path / "again")
    assert result.code == 0, result.err
    again = json.loads((tmp_path / "again/run.json").read_text())
    assert again["history"] == record["history"]
    models = [load(run / "model.keras") for run in (tmp_path / "again", output / "trials/0000")]
    for found, wanted in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted.numpy(), err_msg=wanted.path)


def toy_params(output: Path) -> dict[str, Any]:
    study = optuna.load_study(study_name="tfmtl", storage=f"sqlite:///{output / 'study.db'}")
    return dict(study.trials[0].params)
