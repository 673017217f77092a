"""The page for schedulers: its commands exist, and end with the exit status that it says."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.support.command import tfmtl
from tfmtl.pipelines.cli import app, data

PAGE = (Path(__file__).parents[2] / "docs" / "orchestration.md").read_text()
COMMANDS = [
    command.replace("{{ ds }}", "2026-01-01").split()
    for command in (
        *re.findall(r"^\| `tfmtl ([^`]+)`", PAGE, re.MULTILINE),
        *re.findall(r'^    "\w+": "([^"]+)",$', PAGE, re.MULTILINE),
    )
]
GROUP: Any = typer.main.get_command(app.app)


def test_the_page_has_every_step() -> None:
    assert {name for name, *_ in COMMANDS} == {
        "preprocess", "train", "evaluate", "export", "verify", "skew", "serve"
    }  # fmt: skip
    assert len(COMMANDS) == 11


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_its_commands_are_understood(command: list[str]) -> None:
    name, *arguments = command
    context = GROUP.commands[name].make_context(name, list(arguments))
    # What `preprocess` does not know it takes for an option of Beam.
    assert context.args == []


@pytest.mark.parametrize("command", COMMANDS[:7], ids=lambda command: command[0])
def test_wrong_input_is_2_and_one_line(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = tfmtl(*command)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1 and result.err.startswith("error: ")


def test_a_wrong_option_is_2() -> None:
    assert tfmtl("verify", "model/1", "--nothing").code == 2


def test_success_is_0_and_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tfmtl("datasets").code == 0

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(data.console, "print", interrupted)
    assert tfmtl("datasets").code == 130
