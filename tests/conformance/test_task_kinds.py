"""What a kind of task is, is asked of its record or its behavior, never of its name, anywhere else."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = ("tfmtl/schema/tasks/", "tfmtl/tasks/", "tfmtl/schema/registry.py")
CLASSES = "BinaryTask|RegressionTask|MulticlassTask|OrdinalTask|QuantileTask|ZeroInflatedTask|SurvivalTask"
ASKS = re.compile(rf"isinstance\([^)]*\b({CLASSES})\b|\btask\w*(\([^)]*\))?\.kind (==|!=|(not )?in\b)")


def questions(source: str) -> list[str]:
    return [line.strip() for line in source.splitlines() if ASKS.search(line)]


def test_nobody_asks_of_which_kind_a_task_is() -> None:
    found = {}
    for top in ("tfmtl", "pipelines", "serving"):
        for path in (ROOT / top).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            asked = [] if name.startswith(OWN) else questions(path.read_text(encoding="utf-8"))
            if asked:
                found[name] = asked
    assert found == {}, "ask the record (can_be_parent, calibrates, outputs, ...) or the behavior"


@pytest.mark.parametrize(
    "line",
    [
        'if task.kind == "binary":',
        "if isinstance(task, BinaryTask) and x:",
        "tasks = [t for t in problem.tasks if isinstance(t, (RegressionTask, BinaryTask))]",
        'text = "p" if problem.task(name).kind == "binary" else "v"',
        'if task.kind in ("binary", "ordinal"):',
    ],
)
def test_the_check_sees_it(line: str) -> None:
    assert questions(line) == [line]


@pytest.mark.parametrize("line", ['row = {"kind": task.kind}', "behavior_of(task)", "tasks: tuple[BinaryTask, ...]"])
def test_the_check_lets_pass_what_asks_nothing(line: str) -> None:
    assert questions(line) == []
