"""Files that hold no problem: every error begins with the file's name."""

import re
from pathlib import Path

import pytest

from tfmtl.schema import Problem, ProblemError


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "Problem: must be a mapping of keys to values. Received: None."),
        (b"just text", "Problem: must be a mapping of keys to values. Received: 'just text'."),
        (b"- a\n- b", "Problem: must be a mapping of keys to values. Received: ['a', 'b']."),
        (b"name: [a", "not readable as YAML: "),
        (b"name: a\n\tb: c", "not readable as YAML: "),
        (b"name: !!python/object/apply:os.system ['true']", "not readable as YAML: "),
        (b"name: gr\xf6\xdfe", "not readable as UTF-8 text: "),
        (b"name: a\x00b", "not readable as YAML: "),
        (b"name: a\nkeys: {}\nname: b", "key 'name' stands twice, in lines 1 and 3. Remove one of them."),
        (b"name: a\nfeatures:\n- name: x\n  dim: 3\n  dim: 4", "key 'dim' stands twice, in lines 4 and 5."),
        (b"name: &x [*x]\nfeatures: []\ntasks: []", "Problem: `name` must be text. Received: name=[[...]] (list)."),
    ],
)
def test_unreadable_files(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "problem.yaml"
    path.write_bytes(content)
    with pytest.raises(ProblemError, match="^" + re.escape(f"{path}: {text}")):
        Problem.load(path)


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
