"""A problem is the same in Python, as plain values and as a YAML file."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from tests.support.problems import problems
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Keys,
    LabelWindow,
    ModelInputs,
    NumericFeature,
    Problem,
    RegressionTask,
    SequenceFeature,
    Split,
)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(problem=problems())
def test_round_trip(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "problem.yaml"
    problem.save(path)
    for again in (Problem.from_dict(problem.to_dict()), Problem.load(path)):
        assert again == problem
        assert again.fingerprint == problem.fingerprint


def _small(**changes: object) -> Problem:
    parts: dict[str, object] = {
        "features": (CategoricalFeature("item"), NumericFeature("age")),
        "tasks": (BinaryTask("click"),),
        "keys": Keys("user", "time"),
    }
    return Problem("small", **{**parts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", ["\x85", "\u2028", "\u2029", "\n", "\t", "\x00", " ", "'", '"'])
def test_a_column_of_any_name_reads_back(tmp_path: Path, sign: str) -> None:
    problem = _small(features=(CategoricalFeature("item", column=f"a{sign}b"), CategoricalFeature("x", column=sign)))
    problem.save(tmp_path / "problem.yaml")
    assert Problem.load(tmp_path / "problem.yaml") == problem


def test_what_yaml_says_is_what_python_says(tmp_path: Path) -> None:
    text = """
    name: shop
    keys: {user: user_id, time: ts, group: session, time_unit: ms}
    features:
      - {kind: categorical, name: item, dim: 8, min_count: 2, max_size: 100, side: item}
      - {kind: categorical, name: tags, multi_valued: true, separator: ",", max_values: 3, table: words}
      - {kind: numeric, name: price, transform: log_z_score, dim: 4}
    sequences:
      - {name: bought, columns: [item], when: "buy == 1", max_length: 7, time_gap_buckets: 0}
    tasks:
      - {kind: binary, name: click}
      - {kind: binary, name: buy, parent: click, weight: 2}
      - {kind: binary, name: bought_later, label_window: {when: buy == 1, same: item, hours: 24}}
      - {kind: regression, name: watch, label: seconds, sample_space: click == 1 and kind != 'ad'}
    split: {by: user, valid: 0.2, test: 0}
    examples: shown == 1
    """
    (tmp_path / "problem.yaml").write_text(text, encoding="utf-8")
    assert Problem.load(tmp_path / "problem.yaml") == Problem(
        "shop",
        features=(
            CategoricalFeature("item", dim=8, min_count=2, max_size=100, side="item"),
            CategoricalFeature("tags", multi_valued=True, separator=",", max_values=3, table="words"),
            NumericFeature("price", transform="log_z_score", dim=4),
        ),
        tasks=(
            BinaryTask("click"),
            BinaryTask("buy", parent="click", weight=2.0),
            BinaryTask("bought_later", label_window=LabelWindow("buy == 1", 24, same="item")),
            RegressionTask("watch", label="seconds", sample_space="click == 1 and kind != 'ad'"),
        ),
        keys=Keys("user_id", "ts", "session", "ms"),
        sequences=(SequenceFeature("bought", ("item",), "buy == 1", 7, 0),),
        split=Split(by="user", valid=0.2, test=0.0),
        examples="shown == 1",
    )


def test_lists_and_ints_in_python_give_the_same_problem_as_tuples_and_floats() -> None:
    loose = _small(
        features=[CategoricalFeature("item"), NumericFeature("age")],
        tasks=[BinaryTask("click", weight=2)],
        sequences=[SequenceFeature("seen", ["item"])],
        split=Split(test=0),
    )
    strict = _small(
        tasks=(BinaryTask("click", weight=2.0),),
        sequences=(SequenceFeature("seen", ("item",)),),
        split=Split(test=0.0),
    )
    assert loose == strict
    assert loose.fingerprint == strict.fingerprint == Problem.from_dict(loose.to_dict()).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"examples": "shown == 1"},
        {"keys": Keys("user", "time", time_unit="ms")},
        {"tasks": (BinaryTask("click", weight=2.0),)},
        {"features": (NumericFeature("age"), CategoricalFeature("item"))},
        {"features": (CategoricalFeature("item", dim=17), NumericFeature("age"))},
        {"sequences": (SequenceFeature("seen", ("item",)),)},
        {"split": Split(test=0.11)},
    ],
)
def test_every_change_changes_the_fingerprint(change: dict[str, object]) -> None:
    assert _small(**change).fingerprint != _small().fingerprint


def test_defaults_are_not_written() -> None:
    assert yaml.safe_load(yaml.safe_dump(_small().to_dict())) == {
        "name": "small",
        "keys": {"user": "user", "time": "time"},
        "features": [{"kind": "categorical", "name": "item"}, {"kind": "numeric", "name": "age"}],
        "tasks": [{"kind": "binary", "name": "click"}],
    }


def test_a_problem_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        _small().name = "other"  # type: ignore[misc]


def test_lookups_name_what_there_is() -> None:
    problem = _small()
    assert problem.feature("age") == NumericFeature("age")
    assert problem.task("click") == BinaryTask("click")
    with pytest.raises(KeyError, match=r"no feature 'itm'. Known features: \['item', 'age'\]. Did you mean 'item'\?"):
        problem.feature("itm")
    with pytest.raises(KeyError, match=r"no task 'clik'. Known tasks: \['click'\]. Did you mean 'click'\?"):
        problem.task("clik")


def test_tables_lists_the_features_of_each() -> None:
    shared = CategoricalFeature("last_item", table="item")
    problem = _small(
        features=(CategoricalFeature("item"), shared, NumericFeature("age"), NumericFeature("x", "z_score"))
    )
    assert {table: [feature.name for feature in used] for table, used in problem.tables.items()} == {
        "item": ["item", "last_item"],
        "age": ["age"],
    }


def test_model_inputs_round_trip() -> None:
    inputs = ModelInputs(_small(), {"item": 7, "age": 34}, {"click": 0.25}, {"click": 0.4}, "0f" * 8)
    assert ModelInputs.from_dict(inputs.to_dict()) == inputs
    assert inputs.task_names == ("click",)


@pytest.mark.process
def test_the_schema_loads_neither_tensorflow_nor_keras() -> None:
    code = "import sys, tfmtl.schema; print(sorted({n.split('.')[0] for n in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'tfmtl'" in loaded
    assert "'yaml'" in loaded
    for package in ("tensorflow", "keras", "numpy", "apache_beam", "pyarrow"):
        assert f"'{package}'" not in loaded
