"""A training run on a disk that does not take what it writes."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

from tests.unit.training.test_fit import RUN_FILES, options
from tfmtl.data import PreparedData
from tfmtl.training import TrainingError, fit
from tfmtl.training.training_state import read_progress

pytestmark = pytest.mark.process


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, a few checkpoints' size, where the machine lets us make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("making a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class FillDisk(keras.callbacks.Callback):
    """Leaves nothing of the disk in the second epoch."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.file = folder / "filler"

    def on_epoch_begin(self, epoch, logs=None) -> None:
        if epoch == 1:
            with contextlib.suppress(OSError), self.file.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)


def test_a_full_disk_costs_nothing_that_was_written(plain_data: PreparedData, small_disk: Path) -> None:
    filler = FillDisk(small_disk)
    choices = options(epochs=3, checkpoint_every=1)
    with pytest.raises(TrainingError, match=r"^fit: cannot write '.*': .*[Nn]o space left.* run the same command"):
        fit(plain_data, small_disk / "run", choices, callbacks=[filler], verbose=0)
    [state] = small_disk.glob("run/unfinished_*/state.zip")
    assert read_progress(state).epoch >= 1
    assert not list(small_disk.glob("run/**/partial*"))
    filler.file.unlink()
    fit(plain_data, small_disk / "run", choices, verbose=0)
    assert {path.name for path in (small_disk / "run").iterdir()} == RUN_FILES
    assert len(json.loads((small_disk / "run" / "run.json").read_text())["history"]["loss"]) == 3


def test_a_read_only_folder_is_an_error_before_training(
    plain_data: PreparedData, small_disk: Path, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ValueError) as caught:
        fit(plain_data, small_disk, options(), verbose=0)
    assert str(caught.value) == (
        "fit: `output` must be a folder that can be written to (Read-only file system). Received: "
        f"output='{small_disk}'. Give another folder."
    )
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"that can be written to \(.*\)\. Received: output='.*/file/run'"):
        fit(plain_data, tmp_path / "file" / "run", options(), verbose=0)
