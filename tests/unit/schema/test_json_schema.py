"""The JSON Schema of problem files: up to date, accepts what the package accepts, refuses what it must refuse."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tfmtl.schema import Problem, ProblemError
from tfmtl.schema.json_schema import problem_schema
from tfmtl.schema.problem_file import expanded
from tfmtl.schema.read_yaml import read_yaml
from tfmtl.schema.registry import FEATURES, TASKS

ROOT = Path(__file__).parents[3]
STORED = json.loads((ROOT / "docs" / "schemas" / "problem.json").read_text(encoding="utf-8"))
SHIPPED = sorted([*ROOT.glob("pipelines/datasets/*.yaml"), *ROOT.glob("tests/golden/**/problem.yaml")])
VALIDATOR = jsonschema.Draft202012Validator(STORED)
MINIMAL: dict[str, Any] = {
    "name": "p",
    "features": [{"kind": "categorical", "name": "item"}],
    "tasks": [{"kind": "binary", "name": "click"}],
    "split": {"by": "row"},
}
WRONG = {
    "an unknown key": {"splits": {}},
    "a missing list": {"features": None},
    "an unknown kind": {"features": [{"kind": "categorial", "name": "item"}]},
    "no kind": {"tasks": [{"name": "click"}]},
    "a key of another kind": {"features": [{"kind": "categorical", "name": "item", "transform": "z_score"}]},
    "a choice that there is not": {"features": [{"kind": "numeric", "name": "x", "transform": "log"}]},
    "text for a number": {"features": [{"kind": "numeric", "name": "x", "dim": "wide"}]},
    "a missing key": {"features": [{"kind": "vector", "name": "x"}]},
    "a number for true or false": {"tasks": [{"kind": "binary", "name": "click", "known_at_event": 1}]},
    "a choice inside a list": {"features": [{"kind": "time_part", "part": ["minute"]}]},
    "a wrong record inside": {"split": {"by": "time", "share": 0.1}},
    "an unknown format": {"format": 3},
}


@pytest.fixture
def built_in_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests register kinds of their own; the committed file holds the package's."""
    for registry in (FEATURES, TASKS):
        own = {name: kind for name, kind in registry._kinds.items() if kind.record.startswith("tfmtl.")}
        monkeypatch.setattr(registry, "_kinds", own)


def test_the_committed_file_is_up_to_date(built_in_kinds: None) -> None:
    jsonschema.Draft202012Validator.check_schema(STORED)
    assert problem_schema() == STORED, "run: tfmtl schema json problem > docs/schemas/problem.json"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shipped_files_are_valid(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(read_yaml(path.read_text(encoding="utf-8")))] == []


def test_examples_in_the_pages_are_valid() -> None:
    for page in ("tutorial", "problem_file", "survival"):
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
            mapping = yaml.safe_load(block)
            if {"name", "tasks"} <= set(mapping or ()):  # a whole file
                VALIDATOR.validate(mapping)


def test_the_smallest_file_is_valid() -> None:
    expanded(MINIMAL)
    VALIDATOR.validate(MINIMAL)


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_refused_by_both(case: str) -> None:
    wrong = {**MINIMAL, **WRONG[case]}
    assert not VALIDATOR.is_valid(wrong)
    with pytest.raises(ProblemError):
        expanded(wrong)


def test_every_choice_that_a_record_checks_is_in_the_schema() -> None:
    """A record that checks a choice says so in the field's type, else an editor would not know."""
    checked = set()
    for path in (ROOT / "tfmtl" / "schema").rglob("*.py"):
        checked |= set(re.findall(r"check_choice\((?:owner|\"\w+\"), \"(\w+)\"", path.read_text(encoding="utf-8")))
    described = set(re.findall(r'"(\w+)": \{(?:"items": \{)?"enum"', json.dumps(STORED)))
    described |= set(re.findall(r'"(\w+)": \{"type": "array", "items": \{"enum"', json.dumps(STORED)))
    assert checked - described - {"kind"} == set()


def test_descriptions_come_from_the_docstrings() -> None:
    properties = STORED["$defs"]["categorical_feature"]["properties"]
    assert properties["min_count"]["description"].startswith("Values seen fewer times in the training split")
    assert properties["min_count"]["default"] == 1
    fields = STORED["properties"]
    assert set(fields) == {*Problem.from_dict(MINIMAL).__dataclass_fields__} - {"is_stored"} | {"format", "derived"}
