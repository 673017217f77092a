"""Files that hold no problem: every error begins with the file's name."""

import re
from pathlib import Path

import pytest

from tfmtl.schema import Problem, ProblemError
from tfmtl.schema.read_yaml import read_yaml
from tfmtl.schema.shown import shown


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "Problem: must be a mapping of keys to values. Received: None."),
        (b"just text", "Problem: must be a mapping of keys to values. Received: 'just text'."),
        (b"- a\n- b", "Problem: must be a mapping of keys to values. Received: ['a', 'b']."),
        (b"name: [a", "not readable as YAML: line 1, column 9: expected ',' or ']', but got"),
        (
            b"name: a\n\tb: c",
            "not readable as YAML: line 2, column 1: found character '\\t' that cannot start any token",
        ),
        (b"name: a: b", "not readable as YAML: line 1, column 8: mapping values are not allowed here."),
        (
            b'a: 1\nb: "x\nc: 2\n',
            "not readable as YAML: line 4, column 1: found unexpected end of stream while scanning a quoted scalar "
            "from line 2.",
        ),
        (
            b"name: !!python/object/apply:os.system ['true']",
            "not readable as YAML: line 1, column 7: could not determine a constructor for the tag",
        ),
        (b"name: gr\xf6\xdfe", "not readable as UTF-8 text: "),
        (b"name: a\x00b", "not readable as YAML: unacceptable character #x0000: special characters are not allowed"),
        (b"name: a\nkeys: {}\nname: b", "key 'name' occurs twice, in lines 1 and 3. Remove one of them."),
        (b"name: a\nfeatures:\n- name: x\n  dim: 3\n  dim: 4", "key 'dim' occurs twice, in lines 4 and 5."),
        (
            b"name: &x [*x]\nfeatures: []\ntasks: []",
            "the value in line 1 contains itself through an alias. Write it out.",
        ),
        (
            b"name: &x [a]\nkeys: &y {a: *x}\nsplit: {b: {c: *y, d: &z [*z]}}",
            "the value in line 3 contains itself through",
        ),
        (
            b"a: &a0 ["
            + b"x," * 9
            + b"x]\n"
            + b"".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n".encode() for i in range(1, 9)),
            "the value in line 5 has more than 100,000 parts, aliases written out. Use fewer.",
        ),
        (b"name: " + b"[" * 2000, "the value in line 1 is nested more than 50 times. Use fewer brackets."),
    ],
)
def test_unreadable_files(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "problem.yaml"
    path.write_bytes(content)
    with pytest.raises(ProblemError, match="^" + re.escape(f"{path}: {text}")):
        Problem.load(path)


def test_aliases_are_allowed(tmp_path: Path) -> None:
    assert read_yaml("x: &x [1]\ny: [*x, *x]\nz: *x") == {"x": [1], "y": [[1], [1]], "z": [1]}
    assert read_yaml("") is None


def test_a_value_of_very_many_parts_is_shown_without_writing_it_out() -> None:
    value: list[object] = ["x"] * 10
    for _ in range(20):
        value = [value] * 10
    text = shown(value)
    assert text.endswith("... (more than 10,000 values)")
    assert len(text) < 400
    assert shown({"a": [1, "b"]}) == "{'a': [1, 'b']}"
    assert shown("x" * 1000).endswith("... (1,002 characters)")


def test_an_error_of_yaml_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "problem.yaml"
    for content in (b"name: [a", b"name: a\x00b", b"name: &x a\nkeys: *y"):
        path.write_bytes(content)
        with pytest.raises(ProblemError) as caught:
            Problem.load(path)
        assert "\n" not in str(caught.value)


def test_a_log_in_the_place_of_the_problem_file_does_not_fill_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item,click\n" * 10_000, encoding="utf-8")
    with pytest.raises(ProblemError, match=re.escape("Received: 'user,item,click user,item")) as caught:
        Problem.load(path)
    assert len(str(caught.value)) < 600
    assert "... (160,001 characters)" in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    text = f"Problem: no problem file at '{tmp_path / 'p.yaml'}'. Give the path of a YAML file."
    with pytest.raises(ProblemError, match=re.escape(text)):
        Problem.load(tmp_path / "p.yaml")
    with pytest.raises(ProblemError, match="no problem file at"):
        Problem.load(tmp_path)


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "problem.yaml"
    path.write_text("name: a\nfeatures: []\ntasks: []\nsplt: {}", encoding="utf-8")
    with pytest.raises(ProblemError, match=re.escape(f"{path}: Problem: unknown key 'splt'. ")):
        Problem.load(path)
