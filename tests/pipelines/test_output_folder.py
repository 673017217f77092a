"""The output appears complete or not at all, and nothing of the user's is ever lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.small_log import contents, run, small_log, write_csv
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.preprocessing.writing.output_folder import OutputFolder

ROWS = small_log(60)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return write_csv(tmp_path / "in" / "log.csv", ROWS)


def _left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


def test_a_second_run_replaces_the_first(tmp_path: Path, log: Path) -> None:
    run(tmp_path / "out", log, num_shards=5)
    run(tmp_path / "out", log, num_shards=2)
    assert len(list((tmp_path / "out" / "train").iterdir())) == 2
    assert _left(tmp_path) == ["in", "out"]


@pytest.mark.parametrize("ending", ["", "/"])
def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path, log: Path, ending: str) -> None:
    run(tmp_path / "expected", log)
    for name in (".out.tfmtl/partial/train/part-9.tfrecord", ".out.tfmtl/previous/manifest.json", ".out.tfmtl/lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("left over")
    run(Path(f"{tmp_path}/out{ending}"), log)
    assert contents(tmp_path / "out") == contents(tmp_path / "expected")
    assert _left(tmp_path) == ["expected", "in", "out"]


def test_a_run_killed_during_the_exchange_left_the_old_output(tmp_path: Path, log: Path) -> None:
    run(tmp_path / "out", log)
    before = contents(tmp_path / "out")
    (tmp_path / ".out.tfmtl").mkdir()
    os.rename(tmp_path / "out", tmp_path / ".out.tfmtl" / "previous")  # the new one was never put in its place
    with pytest.raises(InputError, match="not readable"):
        (tmp_path / "bad.csv").write_bytes(b"\xff\xfe")
        run(tmp_path / "out", tmp_path / "bad.csv")
    (tmp_path / "in" / "broken.csv").write_bytes(log.read_bytes() + b'"')
    with pytest.raises(InputError, match="ends inside a quoted value"):
        run(tmp_path / "out", tmp_path / "in" / "broken.csv")
    assert contents(tmp_path / "out") == before
    assert _left(tmp_path) == ["bad.csv", "in", "out"]


@pytest.mark.process
def test_a_run_that_is_killed_while_it_writes(tmp_path: Path, log: Path) -> None:
    """The old output stays until the new one is complete; the next run gives the bytes of one that never died."""
    run(tmp_path / "out", write_csv(tmp_path / "in" / "old.csv", ROWS[:40]))
    before = contents(tmp_path / "out")
    command = [sys.executable, "-m", "tests.support.killed_preprocess", str(log), str(tmp_path / "out")]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = contents(tmp_path / ".out.tfmtl" / "partial")
    assert any(name.startswith("train/") for name in left)
    assert any(name.startswith("scratch/") for name in left)
    assert contents(tmp_path / "out") == before
    run(tmp_path / "out", log)
    run(tmp_path / "expected", log)
    assert contents(tmp_path / "out") == contents(tmp_path / "expected")
    assert _left(tmp_path) == ["expected", "in", "out"]


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), OutputFolder(str(tmp_path / "out")) as folder:
        (Path(folder.partial) / "manifest.json").write_text("{}")
        raise KeyboardInterrupt
    assert _left(tmp_path) == []


# === One job at a time, and nothing of anybody else's ===


def test_a_second_job_for_one_folder_stops_at_once(tmp_path: Path, log: Path) -> None:
    run(tmp_path / "out", log)
    before = contents(tmp_path / "out")
    (tmp_path / "link").symlink_to("out")
    with OutputFolder(str(tmp_path / "out")) as first:
        written = Path(first.partial, "half")
        written.touch()
        for name in ("out", "link", "../" + tmp_path.name + "/out/"):
            rule = "preprocess: `output` must be a folder that no other job is writing to. Received: output="
            with pytest.raises(ValueError, match=f"{rule}.* That is process {os.getpid()} on .*: wait for its end"):
                run(Path(f"{tmp_path}/{name}"), log)
        assert written.is_file()
        assert contents(tmp_path / "out") == before
        written.unlink()
        (Path(first.partial) / "manifest.json").write_text("{}")
    assert _left(tmp_path) == ["in", "link", "out"]
    run(tmp_path / "link", log)
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "out") == before


def test_folders_of_the_user_stay(tmp_path: Path, log: Path) -> None:
    names = ["out.previous", "out.partial", "out.tfmtl", ".out.partial"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("years of work")
    for _ in range(2):
        run(tmp_path / "out", log)
    assert _left(tmp_path) == sorted([*names, "in", "out"])
    assert all((tmp_path / name / "thesis.txt").is_file() for name in names)
    (tmp_path / ".out.tfmtl").mkdir()
    (tmp_path / ".out.tfmtl" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"must have no '.*/\.out\.tfmtl' beside it, which is not preprocessing's own"):
        run(tmp_path / "out", log)
    assert (tmp_path / ".out.tfmtl" / "thesis.txt").is_file()


def test_what_is_put_into_an_output_while_the_job_runs_is_not_lost(tmp_path: Path, log: Path) -> None:
    run(tmp_path / "out", log)
    with (
        pytest.raises(ValueError, match=r"holds something else that would be lost: \['thesis\.txt'\]"),
        OutputFolder(str(tmp_path / "out")),
    ):
        (tmp_path / "out" / "thesis.txt").write_text("years of work")
    assert (tmp_path / "out" / "thesis.txt").is_file()
    assert (tmp_path / "out" / "manifest.json").is_file()


@pytest.mark.parametrize("name", [".", "..", "/proc", "/"])
def test_folders_that_cannot_be_exchanged_are_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    rule = "must (not be the folder that the command runs in|be a folder inside a mounted one)"
    with pytest.raises(ValueError, match=f"preprocess: `output` {rule}.* Give a folder below it, such as "):
        OutputFolder(name).__enter__()
    assert _left(tmp_path) == ["here"]


@pytest.mark.parametrize("kind", ["file", "folder", "input"])
def test_what_is_no_output_is_never_replaced(tmp_path: Path, log: Path, kind: str) -> None:
    target = {"file": log, "folder": tmp_path / "mine", "input": log.parent}[kind]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    before = contents(tmp_path)
    text = rf"preprocess: `output` must be a new or empty folder or an earlier output\. Received: output='{target}', "
    with pytest.raises(ValueError, match=text + "which holds something else"):
        run(target, log)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["run/model.keras", "model/1/saved_model.pb", "train/notes.txt", "transform/vocabularies/a/b.txt", "x.json"]
)
def test_what_was_put_into_an_output_is_never_lost(tmp_path: Path, log: Path, name: str) -> None:
    run(tmp_path / "out", log)
    (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / name).write_text("the user's")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=rf"holds something else that would be lost: \['{name}'\]\. Move it, or give"):
        run(tmp_path / "out", log)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_every_file_of_an_output_may_be_replaced(tmp_path: Path, compression: str) -> None:
    bad = write_csv(tmp_path / "bad.csv", [*ROWS, {**ROWS[0], "age": "old"}])
    for _ in range(2):
        run(tmp_path / "out", bad, compression=compression)
    assert (tmp_path / "out" / "rejected").is_dir()


def test_an_empty_folder_is_filled(tmp_path: Path, log: Path) -> None:
    (tmp_path / "out").mkdir()
    run(tmp_path / "out", log)
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_folders_above_are_made(tmp_path: Path, log: Path) -> None:
    run(tmp_path / "a" / "b" / "out", log)
    assert (tmp_path / "a" / "b" / "out" / "manifest.json").is_file()


def test_no_temporary_files_are_left(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    run(tmp_path / "out", log)
    assert [path.name for path in (tmp_path / "temporary").rglob("*") if "tfmtl" in path.name] == []
