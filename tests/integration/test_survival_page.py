"""The page about lifetimes: its problem file and its program run."""

import contextlib
import io
import re
from pathlib import Path

import yaml

from tfmtl.schema import Problem

PAGE = (Path(__file__).parents[2] / "docs" / "survival.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[0]


def test_the_problem_file_is_one() -> None:
    problem = Problem.from_dict(yaml.safe_load(block("yaml")))
    assert [task.kind for task in problem.tasks] == ["binary", "survival", "survival"]
    outputs = set(re.findall(r"^\| `(lifetime\w*)` \|", PAGE, re.MULTILINE))
    assert outputs == set(problem.task("lifetime").output_names)


def test_the_program_prints_what_it_says() -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block("python"), "docs/survival.md", "exec"), {})
    assert printed.getvalue().split("\n")[:2] == re.findall(r"  # (.*)", block("python"))
