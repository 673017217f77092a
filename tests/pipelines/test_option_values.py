"""What `--set name=value` takes a value for."""

import pytest

from tests.support.tiny_problem import tiny_problem
from tfmtl.pipelines.cli.option_values import named_texts, names, option_values, task_methods


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("0.2", 0.2),
        ("1e-2", 0.01),
        ("1.5E+3", 1500.0),
        ("off", "off"),
        ("no", "no"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("[64, 32]", (64, 32)),
        ("[identity, sin]", ("identity", "sin")),
        ("target", "target"),
        ("a=b", "a=b"),
    ],
)
def test_values(text: str, value: object) -> None:
    found = option_values("train", [f"name={text}"])["name"]
    assert found == value
    assert type(found) is type(value)


def test_several_and_none() -> None:
    assert option_values("train", ["a=1", "b=x"]) == {"a": 1, "b": "x"}
    assert option_values("train", []) == {}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["num_experts"], r"train: `--set` must be name=value. Received: --set 'num_experts'."),
        (["a=1", "a=2"], r"train: `--set` must give 'a' once. Received: --set 'a=2' as well."),
        (["a=[1"], r"train: the value of `--set` must be YAML, as in num_experts=8. Received: 'a=\[1'."),
    ],
)
def test_errors(settings: list[str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        option_values("train", settings)


def test_objects_are_not_made() -> None:
    with pytest.raises(ValueError, match="must be YAML"):
        option_values("train", ["a=!!python/object/apply:os.getcwd []"])


def test_texts_stay_texts() -> None:
    found = named_texts("export", "--scores", ["value = click*2 ", "both=click=buy"])
    assert found == {"value": "click*2", "both": "click=buy"}
    with pytest.raises(ValueError, match=r"export: `--scores` must be name=value. Received: --scores 'click'."):
        named_texts("export", "--scores", ["click"])


def test_methods_of_tasks() -> None:
    problem = tiny_problem()
    assert task_methods("export", problem, []) == {}
    assert task_methods("export", problem, ["platt"]) == {"click": "platt", "buy": "platt"}
    assert task_methods("export", problem, ["buy=isotonic", "platt"]) == {"click": "platt", "buy": "isotonic"}
    assert task_methods("export", problem, ["buy=negatives:0.1"]) == {"buy": "negatives:0.1"}
    with pytest.raises(ValueError, match="must name one method for all tasks"):
        task_methods("export", problem, ["platt", "isotonic"])


def test_names() -> None:
    assert names("click, buy,") == ("click", "buy")
    assert names("") == ()


def test_texts_stay_as_they_are() -> None:
    assert named_texts("preprocess", "--conf", ["a.b=1=2", "c="]) == {"a.b": "1=2", "c": ""}
    with pytest.raises(ValueError, match=r"preprocess: `--conf` must be name=value\. Received: --conf 'a'\."):
        named_texts("preprocess", "--conf", ["a"])
