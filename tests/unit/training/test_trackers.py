"""Trackers with stores on this machine: what they are told of a run, and that a killed run goes on in its own."""

import glob
from pathlib import Path

import pytest

from tests.support.command import tfmtl
from tests.support.needs import needs
from tfmtl.data import PreparedData
from tfmtl.training import TrainOptions
from tfmtl.training.trackers import Tracker, make_trackers

OPTIONS = TrainOptions("mmoe", {"num_experts": 3}, learning_rate=0.01)
METRICS = ({"loss": 2.0, "val_click/auc": 0.6}, {"loss": 1.5, "val_click/auc": 0.7})


def tell(tracker: Tracker, epochs: range) -> None:
    tracker.on_train_begin()
    for epoch in epochs:
        tracker.on_epoch_begin(epoch)
        tracker.on_epoch_end(epoch, METRICS[epoch])


@needs("mlflow")
def test_mlflow_has_options_and_metrics_and_goes_on(
    tiny_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.chdir(tmp_path)
    [killed] = make_trackers(["tensorboard", "mlflow"], tiny_data, tmp_path / "run_a", OPTIONS)
    tell(killed, range(1))
    [again] = make_trackers(["mlflow"], tiny_data, tmp_path / "run_a", OPTIONS)
    assert again.run_id == killed.run_id
    tell(again, range(2))  # the first epoch once more, as after a kill before its checkpoint
    again.on_epoch_end(2, {"loss": float("nan")})
    again.on_train_end()
    client = MlflowClient()
    experiment = client.get_experiment_by_name("tiny")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "run_a" and run.info.status == "FINISHED"
    assert run.data.params["learning_rate"] == "0.01" and run.data.params["set.num_experts"] == "3"
    assert run.data.tags["data_digest"] == tiny_data.digest
    history = client.get_metric_history(run.info.run_id, "val_click/auc")
    assert [(each.step, each.value) for each in history] == [(0, 0.6), (1, 0.7)]


@needs("wandb")
@pytest.mark.process
def test_wandb_writes_its_offline_files(
    tiny_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    for name, value in {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true"}.items():
        monkeypatch.setenv(name, value)
    [tracker] = make_trackers(["wandb"], tiny_data, tmp_path / "run_b", OPTIONS)
    tell(tracker, range(2))
    tracker.on_train_end()
    wandb.teardown()  # ends its process, which writes the file
    [stored] = glob.glob(str(tmp_path / "wandb" / "offline-run-*" / "*.wandb"))
    content = Path(stored).read_bytes()
    for told in (b"val_click/auc", b"set.num_experts", b"run_b", b"tiny"):
        assert told in content
    assert str(tracker.run_id) in stored


def test_names_and_packages_are_checked(
    tiny_data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="`track` must be one of"):
        make_trackers(["mlflw"], tiny_data, tmp_path, OPTIONS)
    assert make_trackers(["tensorboard"], tiny_data, tmp_path, OPTIONS) == []
    monkeypatch.setattr("tfmtl.schema.extras.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs wandb. Install it: pip install 'tfmtl\[track\]'"):
        make_trackers(["wandb"], tiny_data, tmp_path, OPTIONS)
    result = tfmtl("train", tiny_data.directory, "-o", tmp_path / "run", "--track", "tensorboard,comet")
    assert result.code == 2 and "`track` must be one of" in result.err
