"""Text files in every dialect: no line is lost in silence, and what the marks may mean is said."""

import io
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.small_log import SMALL_PROBLEM, records, run, small_log, values, write_csv
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.reading.line_stream import END, LONG, LineStream
from tfmtl.preprocessing.reading.text_file import TextFile
from tfmtl.schema import Dialect, ProblemError

ROWS = small_log(80)
NONE = Dialect(quote="none")


def _file(content: bytes, is_tsv: bool = False, dialect: Dialect | None = None) -> TextFile:
    name = "log.tsv" if is_tsv else "log.csv"
    return TextFile(name, is_tsv, dialect or Dialect(), lambda _: nullcontext(io.BytesIO(content)))


def _read(file: TextFile, *columns: str) -> tuple[list[dict[str, bytes]], list[tuple[int, str]], dict[str, int]]:
    """Rows, unreadable lines and counts."""
    rows, unreadable, counts = [], [], {"lines": 0, "quoted": 0, "spanning": 0}
    for batch in file.batches(columns):
        rows += batch.rows.to_pylist()
        unreadable += batch.unreadable
        counts |= {name: counts[name] + count for name, count in batch.counts.items()}
    return rows, unreadable, counts


# === Lines counted apart from the reader ===


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    content=st.text(alphabet='ab"\n\r', max_size=60).map(str.encode),
    size=st.integers(1, 9),
    most=st.integers(3, 80),
)
def test_lines_are_counted_and_long_ones_replaced(content: bytes, size: int, most: int) -> None:
    stream = LineStream(io.BytesIO(content), most, size)
    found = b"".join(iter(lambda: stream.read(7), b""))
    kept = [line if len(line) <= most else f"{LONG}{len(line)}".encode() for line in content.split(b"\n")]
    assert found == b"\n".join([*kept, END.encode(), b""])
    assert stream.lines == len([line for line in re.split(rb"[\r\n]", b"\n".join(kept)) if line])
    assert stream.has_marks == any(b'"' in line for line in kept)
    cut = [line for line in content.split(b"\n") if len(line) > most]
    assert stream.has_cut_quotes == any(line.count(b'"') % 2 for line in cut)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_empty_lines_are_no_rows(ending: bytes) -> None:
    content = ending.join([b"a,b", b"1,x", b"", b"2,y", b"", b"", b"3", b"4,z"])
    if ending == b"\r":
        content = content.replace(b"a,b\r", b"a,b\n")
    rows, unreadable, counts = _read(_file(content), "b")
    assert [row["b"] for row in rows] == [b"x", b"y", b"z"]
    assert unreadable == [(2, "has 1 columns where the header has 2: 3")]
    assert counts == {"lines": 4, "quoted": 0, "spanning": 0}


# === Quotation marks ===


def _with_marks(path: Path, opening: int, closing: int) -> Path:
    """A log whose last column begins with a mark in one row and ends with one in a later row."""
    rows = [{**row, "note": "12 inch"} for row in ROWS]
    rows[opening]["note"], rows[closing]["note"] = '"12 inch', '12 inch"'
    delimiter = "\t" if path.suffix == ".tsv" else ","
    lines = ["|".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
             for row in [dict(zip(rows[0], rows[0], strict=True)), *rows] for value in row.values()]  # fmt: skip
    width = len(rows[0])
    text = "\n".join(delimiter.join(lines[start : start + width]) for start in range(0, len(lines), width))
    path.write_text(text + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "dialect"), [("log.tsv", Dialect()), ("log.tsv", NONE), ("log.csv", NONE)])
def test_a_mark_may_be_text(tmp_path: Path, name: str, dialect: Dialect) -> None:
    log = _with_marks(tmp_path / name, 10, 25)
    manifest = run(tmp_path / "out", log, problem=replace(SMALL_PROBLEM, dialect=dialect))
    assert (manifest["rows_in"], manifest["rows_rejected"], manifest["warnings"]) == (80, {}, [])


@pytest.mark.parametrize(("name", "dialect"), [("log.csv", Dialect()), ("log.tsv", Dialect(quote="double"))])
@pytest.mark.parametrize("closing", [11, 25])
def test_two_stray_marks_do_not_swallow_rows(tmp_path: Path, name: str, dialect: Dialect, closing: int) -> None:
    log = _with_marks(tmp_path / name, 10, closing)
    if dialect.quote is not None:  # it was said that the value is meant so: it is kept, counted and reported
        manifest = run(tmp_path / "out", log, problem=replace(SMALL_PROBLEM, dialect=dialect))
        assert manifest["rows_in"] == 80 - (closing - 10)
        assert manifest["warnings"] == [
            f"file '{log}': 1 quoted values go over several lines. If marks are nothing but text, set "
            "`dialect: {quote: none}`."
        ]
        return
    text = f"preprocess: file '{log}': the value in column 'note' of row 10, '12 inch', begins with a quotation mark "
    with pytest.raises(InputError, match=re.escape(f"{text}and goes over {closing - 9} lines, which look like rows")):
        run(tmp_path / "out", log)


def test_real_texts_of_several_lines_are_counted(tmp_path: Path) -> None:
    content = b'a,b,c\n1,"x\ny",p\n2,"z, z",q\n3,"\n\nw\r\n",r\n4,"u\nv",s,t\n'
    rows, unreadable, counts = _read(_file(content), "a", "c")
    assert [row["a"] for row in rows] == [b"1", b"2", b"3"]
    assert [number for number, _ in unreadable] == [3]
    assert counts == {"lines": 4, "quoted": 0, "spanning": 2}


def test_values_between_marks_in_a_file_without_quoting_are_reported(tmp_path: Path) -> None:
    rows = [{**row, "item": f'"{row["item"]}"' if i % 4 == 0 else row["item"]} for i, row in enumerate(ROWS)]
    log = write_csv(tmp_path / "log.tsv", rows, quoting=3, quotechar=None)
    manifest = run(tmp_path / "out", log)
    assert manifest["warnings"] == [
        f"file '{log}': 20 values begin and end with a quotation mark, which was read as part of them. If it is none, "
        "set `dialect: {quote: double}`."
    ]
    run(tmp_path / "double", log, problem=replace(SMALL_PROBLEM, dialect=Dialect(quote="double")))
    run(tmp_path / "plain", write_csv(tmp_path / "plain.tsv", ROWS))
    assert records(tmp_path / "double", "train") == records(tmp_path / "plain", "train")


def test_another_delimiter(tmp_path: Path) -> None:
    content = write_csv(tmp_path / "log.csv", ROWS).read_bytes()
    (tmp_path / "log.csv").write_bytes(content.replace(b",", b";"))
    run(tmp_path / "out", tmp_path / "log.csv", problem=replace(SMALL_PROBLEM, dialect=Dialect(delimiter=";")))
    run(tmp_path / "comma", write_csv(tmp_path / "comma.csv", ROWS))
    assert [values(record) for record in records(tmp_path / "out", "train")] == [
        values(record) for record in records(tmp_path / "comma", "train")
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"quote": "single"}, "Dialect: `quote` must be one of ['double', 'none']. Received: quote='single'."),
        ({"delimiter": "||"}, "Dialect: `delimiter` must be one ASCII character and neither"),
        ({"delimiter": '"'}, "Dialect: `delimiter` must be one ASCII character and neither"),
        ({"delimiter": "é"}, "Dialect: `delimiter` must be one ASCII character and neither"),
    ],
)
def test_dialects_that_make_no_sense(arguments: dict[str, str], text: str) -> None:
    with pytest.raises(ProblemError, match=re.escape(text)):
        Dialect(**arguments)


# === Long lines ===


@pytest.mark.parametrize("cell", [b"x" * 5000, b'"' + b"x" * 5000 + b'"'])
def test_a_line_that_is_too_long_is_one_rejected_row(cell: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfmtl.preprocessing.reading.text_file.CSV_BLOCK_BYTES", 400)
    lines = [b"%d,v%d" % (i, i) for i in range(100)]
    lines[40] = b"40," + cell
    rows, unreadable, counts = _read(_file(b"\n".join([b"a,b", *lines])), "b")
    assert [row["b"] for row in rows] == [b"v%d" % i for i in range(100) if i != 40]
    assert unreadable == [(40, f"is longer than 200 bytes: {3 + len(cell):,}")]
    assert counts["lines"] == 100


def test_a_long_line_that_opens_a_value_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfmtl.preprocessing.reading.text_file.CSV_BLOCK_BYTES", 400)
    content = b'a,b\n1,"' + b"x" * 5000 + b'\nmore",2\n3,4\n'
    with pytest.raises(InputError, match="a quotation mark is opened and not closed"):
        _read(_file(content), "b")


def test_a_header_without_an_end_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfmtl.preprocessing.reading.text_file.CSV_BLOCK_BYTES", 400)
    with pytest.raises(InputError, match="must begin with a header line of at most 400 bytes"):
        _file(b"a," * 5000).header()


def test_lines_that_the_reader_loses_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The known-bad case of the count: a reader that drops a batch."""
    whole = TextFile._parse

    def lossy(self: TextFile, lines: LineStream, columns: object) -> object:
        return ((batch.slice(1), invalid) for batch, invalid in whole(self, lines, columns))

    monkeypatch.setattr(TextFile, "_parse", lossy)
    with pytest.raises(InputError, match=r"has 3 lines below its header, but 2 rows and 0 further lines inside"):
        _read(_file(b"a,b\n1,x\n2,y\n3,z\n"), "b")
