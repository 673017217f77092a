"""What files of format 2 have without naming it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.tiny_problem import tiny_problem
from tfmtl.schema import Problem, ProblemError
from tfmtl.schema.problem_file import expanded, read_problem_file
from tfmtl.schema.read_yaml import read_yaml


def _tiny() -> Problem:
    """The tiny problem, whose labels are known when its histories read them."""
    problem = tiny_problem()
    return replace(problem, tasks=tuple(replace(task, known_at_event=True) for task in problem.tasks))


def _added(**changes: Any) -> list[dict[str, Any]]:
    mapping = {**_tiny().to_dict(), **changes}
    return expanded(mapping).to_dict()["features"][len(_tiny().features) :]


def test_a_file_without_format_means_what_it_says() -> None:
    assert expanded(_tiny().to_dict()) == _tiny()
    assert expanded(_tiny().to_dict()).fingerprint == _tiny().fingerprint


def test_every_sequence_brings_its_history_and_its_match_on_names() -> None:
    assert _added(format=2) == [
        {"kind": "history", "of": "clicked", "name": "clicked", "enters": "once"},
        {"kind": "match", "of": "clicked", "on": ["item", "topic"], "name": "clicked_match", "enters": "once"},
        {"kind": "history", "of": "seen", "name": "seen", "enters": "once"},
        {"kind": "match", "of": "seen", "on": ["topic"], "name": "seen_match", "enters": "once"},
        {"kind": "history", "of": "bought", "name": "bought", "enters": "once"},
        {"kind": "match", "of": "bought", "on": ["item"], "name": "bought_match", "enters": "once"},
    ]


def test_derived_none_switches_it_off() -> None:
    assert _added(format=2, derived="none") == []


def test_what_is_named_is_not_added_again() -> None:
    named = [*_tiny().to_dict()["features"], {"kind": "history", "of": "seen", "dim": 4}]
    added = _added(format=2, features=named)
    assert [each for each in added if each["kind"] == "history" and each["of"] == "seen"] == [
        {"kind": "history", "of": "seen", "name": "seen", "dim": 4, "enters": "once"}
    ]


def test_numbers_enter_once_where_the_file_does_not_say_how() -> None:
    said = [
        {"kind": "history", "of": "seen", "enters": "twice"},
        {"kind": "match", "of": "seen", "on": ["topic"], "summed": True},
    ]
    features = [
        *_tiny().to_dict()["features"],
        *said,
        {"kind": "rate", "of": "item", "task": "click", "known_after": 1},
    ]
    found = expanded({**_tiny().to_dict(), "features": features, "format": 2})
    enters = {each.name: each.enters for each in found.features if hasattr(each, "enters")}
    once = ("clicked", "clicked_match", "bought", "bought_match", "item_click_rate")
    assert enters == dict.fromkeys(once, "once") | dict.fromkeys(("seen", "seen_match"), "twice")
    old = expanded({**_tiny().to_dict(), "features": features})
    assert old.feature("item_click_rate").enters == "twice"  # type: ignore[attr-defined]


def test_what_is_stored_names_everything(tmp_path: Path) -> None:
    (tmp_path / "user.yaml").write_text(yaml.safe_dump({**_tiny().to_dict(), "format": 2}))
    problem = read_problem_file(tmp_path / "user.yaml")
    problem.save(tmp_path / "stored.yaml")
    assert Problem.load(tmp_path / "stored.yaml") == problem == read_problem_file(tmp_path / "stored.yaml")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": 3}, "`format` must be one of [1, 2]. Received: format=3."),
        ({"format": 2, "derived": "non"}, "`derived` must be one of ['default', 'none']. Received: derived='non'."),
        ({"derived": "none"}, "`derived` goes with `format: 2` only."),
    ],
)
def test_wrong_values(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    path = tmp_path / "problem.yaml"
    path.write_text(yaml.safe_dump({**_tiny().to_dict(), **changes}))
    with pytest.raises(ProblemError) as caught:
        read_problem_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert text in str(caught.value)


def test_the_key_on_is_a_name() -> None:
    """YAML 1.1 says that `on` is true; as a value it still is."""
    assert read_yaml("{kind: match, on: [item], yes: on}") == {"kind": "match", "on": ["item"], "yes": True}
