"""A run that is killed and started again ends with the same bits as one that never stopped."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.support.forked_run import said
from tests.support.fresh_process import run_fresh
from tests.support.needs import needs
from tests.support.wandb_rows import wandb_rows
from tfmtl.data import PreparedData

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def output(plain_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    run_fresh(Path(__file__).with_name("killed_runs.py"), plain_data.directory, folder)
    return folder


def test_every_attempt_but_the_last_was_killed(output: Path) -> None:
    ends = json.loads((output / "ends.json").read_text())
    assert ends["whole"] == [0], (output / "whole.txt").read_text()
    assert ends["moments"] == [-signal.SIGKILL] * 7 + [0], (output / "moments.txt").read_text()
    assert ends["tracked"] == [-signal.SIGKILL] * 2 + [0], (output / "tracked.txt").read_text()
    assert ends["times"][0] == -signal.SIGKILL
    assert ends["times"][-1] == 0, (output / "times.txt").read_text()


def test_it_says_where_it_goes_on(output: Path) -> None:
    assert said(output, "whole") == []
    moments = said(output, "moments")
    assert moments[0] in ("Resumed at epoch 1, step 2 of 6.", "Resumed at epoch 1, step 4 of 6.")
    assert [line for line in moments if "step 0" not in line], "or the test shows nothing about half epochs"
    assert moments[-1].startswith("Nothing to do: ")


@pytest.mark.parametrize("scenario", ["moments", "tracked", "times"])
def test_model_and_record_are_the_same(output: Path, scenario: str) -> None:
    whole, killed = np.load(output / "whole.npz"), np.load(output / f"{scenario}.npz")
    assert whole.files == killed.files
    for name in whole.files:
        np.testing.assert_array_equal(killed[name], whole[name], err_msg=name)
    records = [json.loads((output / name / "run.json").read_text()) for name in ("whole", scenario)]
    for record in records:
        del record["seconds"], record["examples_per_second"]
    assert records[0] == records[1]
    histories = [(output / name / "history.csv").read_bytes() for name in ("whole", scenario)]
    assert histories[0] == histories[1]
    assert {path.name for path in (output / scenario).iterdir()} == {
        "model.keras",
        "history.csv",
        "run.json",
        "tensorboard",
    }


def test_the_run_is_one_that_shows_something(output: Path) -> None:
    record = json.loads((output / "whole" / "run.json").read_text())
    losses = record["history"]["val_loss"]
    assert 0 < int(np.argmin(losses)) < len(losses) - 1, "the best epoch is a memory by the end"


@needs("mlflow")
def test_mlflow_has_one_run_and_every_epoch_once(output: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{output / 'store.db'}")
    [run] = client.search_runs([client.get_experiment_by_name("plain").experiment_id])
    assert run.info.status == "FINISHED"
    history = json.loads((output / "tracked" / "run.json").read_text())["history"]
    for name, values in history.items():
        told = client.get_metric_history(run.info.run_id, name)
        assert sorted((each.step, each.value) for each in told) == list(enumerate(values)), name


@needs("wandb")
def test_wandb_has_one_run_and_no_epoch_twice(output: Path) -> None:
    """Each process writes a file, of the same number; what was told seconds before a kill may not be in it yet."""
    folders = list((output / "wandb").glob("offline-run-*"))
    assert len({folder.name.rpartition("-")[2] for folder in folders}) == 1
    losses = json.loads((output / "tracked" / "run.json").read_text())["history"]["val_loss"]
    told = [row for folder in folders for row in wandb_rows(next(folder.glob("*.wandb")))]
    found = sorted((row["_step"], row["val_loss"]) for row in told)
    assert found == [(step, losses[step]) for step in sorted({step for step, _ in found})]
    assert found[-1][0] == len(losses) - 1
