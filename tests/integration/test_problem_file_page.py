"""The page about the problem file lists every key with its default, and none besides."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Dialect,
    HistoryFeature,
    ImageFeature,
    Keys,
    LabelWindow,
    MatchFeature,
    MulticlassTask,
    NumericFeature,
    OrdinalTask,
    Problem,
    QuantileTask,
    RateFeature,
    SequenceFeature,
    SeriesFeature,
    Split,
    SurvivalTask,
    TaskRecord,
    TextFeature,
    TimePartFeature,
    VectorFeature,
)
from tfmtl.schema.registry import FEATURES, TASKS
from tfmtl.schema.strict import plain

PAGE = (Path(__file__).parents[2] / "docs" / "problem_file.md").read_text(encoding="utf-8")

SECTIONS: dict[str, type[Any]] = {
    "The file": Problem,
    "Keys": Keys,
    "A categorical feature": CategoricalFeature,
    "A numeric feature": NumericFeature,
    "A vector": VectorFeature,
    "A text": TextFeature,
    "A series": SeriesFeature,
    "An image": ImageFeature,
    "A sequence": SequenceFeature,
    "History": HistoryFeature,
    "Match": MatchFeature,
    "Time part": TimePartFeature,
    "Rate": RateFeature,
    "A task": BinaryTask,
    "A multiclass task": MulticlassTask,
    "An ordinal task": OrdinalTask,
    "A quantile task": QuantileTask,
    "A survival task": SurvivalTask,
    "A label window": LabelWindow,
    "Split": Split,
    "Dialect": Dialect,
}


def _rows(section: str) -> dict[str, Any]:
    """Key -> default, `...` where the key is required."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `(\w+)` \| (required|`.*?`) \| .+ \|$", text, re.MULTILINE)
    assert len(found) == text.count("\n| `"), "a row is not written like the others"
    return {
        key: ... if default == "required" else yaml.safe_load(default.strip("`").replace("\\|", "|"))
        for key, default in found
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return plain(field.default_factory())
    if field.default is dataclasses.MISSING:
        return ...
    return list(field.default) if isinstance(field.default, tuple) else field.default


@pytest.mark.parametrize("section", SECTIONS)
def test_keys_and_defaults(section: str) -> None:
    # What every task has is listed once, under "A task".
    is_kind = section.endswith(" task") and section != "A task"
    shared = {field.name for field in dataclasses.fields(TaskRecord)} if is_kind else set()
    # What two problems are not compared by is no key of the file.
    fields = [each for each in dataclasses.fields(SECTIONS[section]) if each.compare and each.name not in shared]
    assert _rows(section) == {field.name: _default(field) for field in fields}


def test_every_kind_has_its_section() -> None:
    features = [kind for kind in FEATURES.names if FEATURES.record(kind, "").__module__.startswith("tfmtl.")]
    kinds = [*features, *TASKS.names]  # tests register kinds besides
    assert [kind for kind in kinds if f"`kind: {kind}`" not in PAGE] == []
    shared = {field.name for field in dataclasses.fields(BinaryTask)}
    for kind in TASKS.names:
        own = {field.name for field in dataclasses.fields(TASKS.record(kind, ""))} - shared
        assert not own or TASKS.record(kind, "") in SECTIONS.values(), f"the keys {own} of '{kind}' need a section"


def test_sections_are_all_there() -> None:
    sections = [name for name in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) if name != "A zero-inflated task"]
    assert sections == list(SECTIONS)
