"""The JSON Schema of run files is up to date, accepts what `--config` reads and refuses what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from docs.tools.option_tables import tables
from tfmtl.pipelines.cli.app import app
from tfmtl.pipelines.cli.run_schema import run_schema

DOCS = Path(__file__).parents[2] / "docs"
STORED = json.loads((DOCS / "schemas" / "run.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(STORED)
GOOD: list[dict[str, Any]] = [
    {"batch_size": 256, "learning_rate": 0.01, "preset_options": {"num_experts": 4}},
    {"train": {"preset": "mmoe", "deterministic": False, "monitor": None}, "evaluate": {"split": "valid"}},
    {"export": {"scores": ["value=click*buy"], "calibrate": {"click": "platt"}}},
]
WRONG: list[dict[str, Any]] = [
    {"train": {"batch_sizes": 256}},
    {"train": {"epochs": "many"}},
    {"learningrate": 0.01},
    {"evaluate": {"split": ["test"]}},
]


def test_the_committed_file_is_up_to_date() -> None:
    jsonschema.Draft202012Validator.check_schema(STORED)
    assert run_schema(app) == STORED, "run: tfmtl schema json run > docs/schemas/run.json"


@pytest.mark.parametrize("content", GOOD)
def test_run_files_are_valid(content: dict[str, Any]) -> None:
    VALIDATOR.validate(content)


@pytest.mark.parametrize("content", WRONG)
def test_wrong_run_files_are_refused(content: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(content)


def test_the_pages_example_is_valid_and_its_tables_have_every_option() -> None:
    page = (DOCS / "run_file.md").read_text(encoding="utf-8")
    VALIDATOR.validate(yaml.safe_load(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]))
    shown = tables()
    for step, options in STORED["$defs"].items():
        section = shown.split(f"## {step}\n")[1].split("\n## ")[0]
        assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(options["properties"]), step
