"""One job a folder; a job that died holds nothing."""

import os
import re
import signal
from pathlib import Path

import pytest

from tfmtl.core.folder_lock import LOCK_FILE, locked_folder


def _lock(folder: Path, file: Path | None = None) -> object:
    return locked_folder("fit", "output", folder, file)


def test_a_second_job_is_told_who_is_first(tmp_path: Path) -> None:
    rule = "fit: `output` must be a folder that no other job is writing to. Received: "
    text = f"{rule}output='{tmp_path / 'run'}'. That is process {os.getpid()} on "
    with _lock(tmp_path / "run"):
        for _ in range(2):
            with pytest.raises(ValueError, match=re.escape(text)), _lock(tmp_path / "run"):
                pass
    with _lock(tmp_path / "run"):
        assert (tmp_path / "run" / LOCK_FILE).is_file()
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_or_has_come_stays(tmp_path: Path) -> None:
    with _lock(tmp_path):
        pass
    assert tmp_path.is_dir()
    with _lock(tmp_path / "new"):
        (tmp_path / "new" / "model").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model"]


def test_the_file_may_lie_elsewhere(tmp_path: Path) -> None:
    with _lock(tmp_path / "out", tmp_path / "beside" / "lock"):
        assert [path.name for path in tmp_path.iterdir()] == ["beside"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        held = _lock(tmp_path)  # it would let go if nobody held it
        held.__enter__()  # type: ignore[attr-defined]
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / LOCK_FILE).read_text().startswith(f"process {child} on ")
    with _lock(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text().startswith(f"process {os.getpid()} on ")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_removed_in_between_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last holder unlinks the file after the next one has opened it: that file must not count as a lock."""
    file = tmp_path / LOCK_FILE
    file.touch()
    opened: list[int] = []
    real = os.open

    def late(*arguments: object, **options: object) -> int:
        descriptor = real(*arguments, **options)  # type: ignore[arg-type]
        opened.append(descriptor)
        if len(opened) == 1:
            file.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", late)
    with _lock(tmp_path):
        assert file.is_file()
        assert len(opened) == 2


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), _lock(tmp_path):
        raise KeyError
    with _lock(tmp_path):
        pass
