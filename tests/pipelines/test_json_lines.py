"""JSON-lines files: what a line holds, and what becomes of lines that hold something else."""

from pathlib import Path
from typing import Any

import pytest

from tfmtl.preprocessing.reading.read import InputError, check_columns, read_batches


def _read(path: Path, content: str, columns: list[str]) -> tuple[dict[str, Any], list[int], list[tuple[int, str]], int]:
    path.write_text(content, encoding="utf-8")
    batches = list(read_batches(str(path), columns))
    rows = {name: [value for batch in batches for value in batch.rows.column(name).to_pylist()] for name in columns}
    numbers = [int(number) for batch in batches for number in batch.numbers]
    lines = sum(batch.counts.get("lines", 0) for batch in batches)
    return rows, numbers, [row for batch in batches for row in batch.unreadable], lines


def test_values(tmp_path: Path) -> None:
    content = '{"a": 1, "b": ["x", 2.0]}\n\n{"b": null, "a": 12345678901234567890}\r\n{"a": "v"}\n{"a": true, "b": "y"}'
    rows, numbers, unreadable, lines = _read(tmp_path / "log.ndjson", content, ["a", "b"])
    assert rows == {"a": ["1", "12345678901234567890", "v", "1"], "b": [["x", "2"], None, None, ["y"]]}
    assert (numbers, unreadable, lines) == ([0, 1, 2, 3], [], 4)


def test_lines_that_are_no_objects(tmp_path: Path) -> None:
    long = '{"a": "' + "x" * (2 << 20) + '"}'
    bad = ["{", "[1]", '{"a": {"b": 1}}', '{"a": 1, "a": 2}', long, "7"]
    rows, numbers, unreadable, lines = _read(
        tmp_path / "log.jsonl", '{"a": 5}\n' + "\n".join(bad) + '\n{"a": 6}\n', ["a"]
    )
    assert (rows, numbers, lines) == ({"a": [5, 6]}, [0, 7], 8)
    assert [(number, reason.split(": ")[0]) for number, reason in unreadable] == [
        (1, "is not JSON"), (2, "is not a JSON object"), (3, "column 'a' holds a record"),
        (4, "is not JSON (a key occurs twice)"), (5, "is longer than 2,097,152 bytes"), (6, "is not a JSON object"),
    ]  # fmt: skip
    assert all(len(reason) < 300 for _, reason in unreadable)


def test_columns(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    assert check_columns([str(tmp_path / "log.jsonl")], {"a": "x", "b": "y"}) == []
    with pytest.raises(InputError, match=r"It lacks 'c' \(z\)"):
        check_columns([str(tmp_path / "log.jsonl")], {"c": "z"})
    (tmp_path / "log.jsonl").write_text("1\n")
    with pytest.raises(InputError, match="must hold a JSON object per line"):
        check_columns([str(tmp_path / "log.jsonl")], {"c": "z"})
