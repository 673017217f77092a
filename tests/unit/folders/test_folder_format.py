"""Every folder says who wrote it; an older one is read, a newer one is refused in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfmtl import __version__
from tfmtl.folders import ExportedVersion, FolderError, PreparedFolder, TrainedRun
from tfmtl.folders.folder_format import format_facts

GOLDEN = Path(__file__).parents[2] / "golden"  # of before there were formats of runs and exports


def _prepared(path: Path) -> None:
    PreparedFolder(path).read_manifest()


def _run(path: Path) -> None:
    TrainedRun(path).read_record("evaluate")


def _version(path: Path) -> None:
    ExportedVersion(path).check_format("verify")


READERS = {"data": _prepared, "run": _run, "export/1": _version}
FACTS = {"data": "manifest.json", "run": "run.json", "export/1": "assets.extra/format.json"}


@pytest.fixture(params=READERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_older_folder_is_read(kind: str) -> None:
    READERS[kind](GOLDEN / kind)


@pytest.mark.parametrize("writer", [{}, {"written_by": "tfmtl 7.1"}])
def test_a_newer_folder_is_refused(tmp_path: Path, kind: str, writer: dict[str, str]) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(GOLDEN / kind, folder)
    _change(folder / FACTS[kind], lambda facts: {**facts, **writer, "format": 2})
    with pytest.raises(FolderError) as caught:
        READERS[kind](folder)
    text = str(caught.value)
    assert f"'{folder}' has format 2, and tfmtl {__version__} reads up to format 1." in text
    assert f"Use {writer.get('written_by', 'a later version of tfmtl')}, which wrote it, or" in text
    assert "\n" not in text


@pytest.mark.parametrize("number", ["1", True, 0, None, 1.5])
def test_what_is_no_format_is_refused(tmp_path: Path, kind: str, number: object) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(GOLDEN / kind, folder)
    _change(folder / FACTS[kind], lambda facts: {**facts, "format": number})
    with pytest.raises(FolderError, match=r"which is no number\. Write the folder anew"):
        READERS[kind](folder)


def test_what_is_written_says_who_wrote_it(tmp_path: Path) -> None:
    expected = {"format": 1, "written_by": f"tfmtl {__version__}"}
    assert format_facts(1) == expected
    prepared, run, version = PreparedFolder(tmp_path), TrainedRun(tmp_path), ExportedVersion(tmp_path)
    prepared.write_manifest({"rows_in": 3})
    assert prepared.read_manifest() == {**expected, "rows_in": 3}
    run.record.write_text(run.record_text({"model": "mmoe"}))
    assert run.read_record("fit") == {**expected, "model": "mmoe"}
    version.extra.mkdir()
    version.write_format()
    version.check_format("verify")
    assert json.loads((tmp_path / "assets.extra" / "format.json").read_text()) == expected


def test_preprocessing_knows_its_own_files() -> None:
    found = [path.relative_to(GOLDEN / "data").as_posix() for path in (GOLDEN / "data").rglob("*") if path.is_file()]
    assert all(map(PreparedFolder.owns, found))
    assert PreparedFolder.owns(PreparedFolder.record_file("train", 3, 8, True))
    assert PreparedFolder.owns(PreparedFolder.rejected_file(12))
    assert PreparedFolder.owns("transform/training.json")  # of rates
    for name in ("notes.txt", "train/notes.txt", "manifest.json.bak", "transform/x.txt", "scratch/a", "manifestXjson"):
        assert not PreparedFolder.owns(name)


def test_nothing_else_is_taken_for_an_unfinished_run(tmp_path: Path) -> None:
    run = TrainedRun(tmp_path)
    own = run.unfinished("0123456789abcdef")
    for name in (own.path.name, "unfinished_business", "unfinished_0123"):
        (tmp_path / name).mkdir()
    assert [found.path for found in run.all_unfinished()] == [own.path]


def test_a_run_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        TrainedRun(tmp_path).read_record("evaluate")
    assert str(caught.value) == f"evaluate: no run.json in '{tmp_path}'. Give the output folder of `tfmtl train`."


def _change(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    facts = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(change(facts)))
