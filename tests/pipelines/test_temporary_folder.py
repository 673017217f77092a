"""Beam's temporary folders: a killed job's goes at the next start, anybody else's stays."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tfmtl.core.folder_lock import LOCK_FILE
from tfmtl.pipelines.preprocess.beam.temporary_folder import claimed_temporary_folder, remove_left_folders

pytestmark = pytest.mark.process


def _pipeline(folder: Path) -> Any:
    folder.mkdir()
    (folder / "staged").touch()
    return SimpleNamespace(local_tempdir=str(folder))


def test_what_a_killed_job_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("beam-pipeline-temp-of-others", "tfmtl-mine"):
        _pipeline(tmp_path / name)
    child = os.fork()
    if not child:
        held = claimed_temporary_folder(_pipeline(tmp_path / "beam-pipeline-temp-killed"))
        held.__enter__()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / "beam-pipeline-temp-killed" / LOCK_FILE).is_file()
    with claimed_temporary_folder(_pipeline(tmp_path / "beam-pipeline-temp-now")):
        remove_left_folders()
        names = ["beam-pipeline-temp-now", "beam-pipeline-temp-of-others", "tfmtl-mine"]
        assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [path.name for path in (tmp_path / "beam-pipeline-temp-now").iterdir()] == ["staged"]
