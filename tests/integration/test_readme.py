"""The README's quickstart and problem file work as printed."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.command import tfmtl
from tfmtl.schema import Problem

README = Path(__file__).parents[2] / "README.md"


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1)


def test_quickstart_has_five_lines_and_runs(
    movielens_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tfmtl("datasets", "movielens_100k", "-o", "demo/raw", "--folder", movielens_folder).code == 0
    assert tfmtl("preprocess", "demo/raw", "-o", "demo/data").code == 0
    code = _block("python")
    assert len(code.splitlines()) == 5
    capsys.readouterr()
    exec(compile(code, "README.md", "exec"), {})
    assert "Verification(requests=" in capsys.readouterr().out
    assert (tmp_path / "demo" / "model" / "1" / "saved_model.pb").is_file()


def test_problem_file_is_valid() -> None:
    problem = Problem.from_dict(yaml.safe_load(_block("yaml")))
    assert [task.name for task in problem.tasks] == ["click", "buy", "watch_seconds"]
