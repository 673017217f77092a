"""A run that starts from another one's weights, on a log whose vocabularies have grown."""

import importlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.tiny_problem import next_day, prepare, whole_split
from tfmtl.data import PreparedData
from tfmtl.models import grow_tables, load
from tfmtl.training import TrainOptions, evaluate, fit
from tfmtl.training.run_folder import RunFolder

SMALL = {"hidden_units": [8], "tower_units": [4]}


def _options(**changes: Any) -> TrainOptions:
    return TrainOptions(
        **{"preset": "shared_bottom", "preset_options": SMALL, "epochs": 1, "batch_size": 64, **changes}
    )


@pytest.fixture(scope="module")
def first(tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run of the day before."""
    folder = tmp_path_factory.mktemp("first")
    fit(tiny_data, folder, _options(), verbose=0)
    return folder


class _Start(keras.callbacks.Callback):
    """Keeps what the model says before its first step; ends training with an error after `stop_after` epochs."""

    def __init__(self, features: Mapping[str, Any], stop_after: int | None = None) -> None:
        super().__init__()
        self._features = features
        self._stop_after = stop_after

    def on_train_begin(self, logs: Any = None) -> None:
        self.answers = {task: answers.numpy() for task, answers in self.model(self._features).items()}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self._stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def second(first: Path, grown_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, _Start]:
    """A run that starts from a copy of the first, killed after an epoch and asked for again; and how it started."""
    folder = tmp_path_factory.mktemp("second")
    shutil.copytree(first, folder / "base")
    options = _options(init_from=str(folder / "base"), epochs=2)
    start = _Start(whole_split(grown_data, "test")[0], stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        fit(grown_data, folder / "run", options, [start], verbose=0)
    with pytest.MonkeyPatch.context() as patch:
        # What was learnt since must not be lost. By its module: the package's attribute `fit` is the function.
        patch.delattr(importlib.import_module("tfmtl.training.fit"), "start_from_run")
        fit(grown_data, folder / "run", options, verbose=0)
    return folder, start


def test_it_starts_where_the_other_ended(first: Path, second: tuple[Path, _Start], grown_data: PreparedData) -> None:
    features, _ = whole_split(grown_data, "test")
    expected = grow_tables(load(first / "model.keras"), grown_data)(features)
    for task, answers in expected.items():
        np.testing.assert_array_equal(second[1].answers[task], answers)
    trained = load(second[0] / "run" / "model.keras")
    assert trained.inputs == grown_data.inputs
    assert np.any(trained(features)["click"] != expected["click"])


def test_a_finished_run_is_of_the_run_it_started_from(
    second: tuple[Path, _Start], grown_data: PreparedData, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, options = second[0], _options(init_from=str(second[0] / "base"), epochs=2)
    fit(grown_data, folder / "run", options, verbose=2)
    assert "Nothing to do" in capsys.readouterr().out
    assert RunFolder(folder / "run", options, grown_data).what_changed() is None
    record = json.loads((folder / "base" / "run.json").read_text())
    (folder / "base" / "run.json").write_text(json.dumps({**record, "seconds": 1e6}))
    assert RunFolder(folder / "run", options, grown_data).what_changed() == "the run to start from"
    changed = RunFolder(folder / "run", _options(epochs=2), grown_data).what_changed()
    assert changed == f"init_from ('{folder / 'base'}', now None), the run to start from"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"preset": "mmoe"}, r"`preset` must be that of the run to start from \('shared_bottom'\). Received: preset="),
        ({"preset_options": {}}, r"`preset_options` must be that of the run to start from \({'hidden_units': \[8\]"),
        ({"init_from": "nowhere"}, "`init_from` must be the output of a finished run. Received: init_from='nowhere'"),
    ],
)
def test_wrong_runs(first: Path, grown_data: PreparedData, tmp_path: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"fit: {text}"):
        fit(grown_data, tmp_path / "run", _options(**{"init_from": str(first), **options}), verbose=0)


def test_not_into_its_own_folder(first: Path, grown_data: PreparedData) -> None:
    with pytest.raises(ValueError, match="fit: `output` must be another folder than `init_from`"):
        fit(grown_data, first, _options(init_from=str(first)), verbose=0)


def test_data_fitted_anew_is_refused(first: Path, tmp_path: Path) -> None:
    other = prepare(tmp_path / "other", log=next_day())
    with pytest.raises(ValueError, match="fit: `data` must have the transformation of the model's own data"):
        fit(other, tmp_path / "run", _options(init_from=str(first)), verbose=0)


def test_a_model_is_measured_on_another_day(first: Path, tiny_data: PreparedData, tmp_path: Path) -> None:
    """With the transformation taken over and not extended, the older model reads the new records."""
    day = prepare(tmp_path, log=next_day(), transform_from=str(tiny_data.directory))
    report = evaluate(load(first / "model.keras"), day, "test")
    assert 0.0 <= report["click"]["auc"] <= 1.0
