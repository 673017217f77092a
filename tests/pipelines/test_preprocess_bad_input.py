"""Bad input: each bad row leaves with its reason and is counted, each bad file is a clear error, old output stays."""

import datetime
import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tests.support.small_log import (
    SMALL_PROBLEM,
    contents,
    records,
    run,
    small_log,
    values,
    write_csv,
    write_parquet,
)
from tfmtl.preprocessing import plan
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.schema import Split

ROWS = small_log(80)


def _rejected(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "rejected").iterdir()) if (folder / "rejected").is_dir() else []
    return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


# === Bad rows ===

BAD_ROWS = [
    ({"age": "old"}, "column 'age' is not a number: 'old'", "column 'age' is not a number"),
    ({"price": "1,5"}, "column 'price' is not a number: '1,5'", "column 'price' is not a number"),
    ({"click": "2"}, "label 'click' is neither 0 nor 1: 2.0", "label 'click' is neither 0 nor 1"),
    ({"click": "yes"}, "column 'click' is not a number: 'yes'", "column 'click' is not a number"),
    ({"click": 0, "buy": 1}, "label of task 'buy' is 1 while its parent 'click' is 0", None),
    ({"seconds": "inf"}, "label 'seconds' is not finite in float32: inf", "label 'seconds' is not finite in float32"),
    ({"ts": ""}, "column 'ts' (the time) is missing", None),
    ({"ts": "yesterday"}, "column 'ts' is not a number: 'yesterday'", "column 'ts' is not a number"),
    ({"ts": "1e30"}, "column 'ts' (the time) is out of range: '1e30'", "column 'ts' (the time) is out of range"),
    ({"user": ""}, "column 'user' (the user) is missing", None),
    ({"shown": "?"}, "column 'shown' is not a number: '?'", "column 'shown' is not a number"),
]


@pytest.mark.parametrize("write", [write_csv, None], ids=["csv", "parquet"])
def test_bad_rows_leave_and_are_counted(tmp_path: Path, write: Callable[..., Path] | None) -> None:
    rows = [{**row} for row in ROWS]
    for index, (change, _, _) in enumerate(BAD_ROWS):
        rows[3 * index] |= change
    if write is None:  # every column as text
        text = {n: ["|".join(row[n]) if n == "tags" else None if row[n] is None else str(row[n]) for row in rows]
                for n in rows[0]}  # fmt: skip
        parquet.write_table(pa.table(text), tmp_path / "log.parquet")
    else:
        write(tmp_path / "log.csv", rows)
    manifest = run(tmp_path / "out", tmp_path)
    assert manifest["rows_rejected"] == Counter(kind or reason for _, reason, kind in BAD_ROWS)
    bad = {3 * index for index in range(len(BAD_ROWS))}
    assert manifest["rows_in"] == len(rows)
    assert manifest["rows_written"] == sum(row["shown"] for i, row in enumerate(ROWS) if i not in bad)
    assert manifest["rows_history_only"] == sum(1 - row["shown"] for i, row in enumerate(ROWS) if i not in bad)
    rejected = _rejected(tmp_path / "out")
    assert [(row["row"], row["reason"]) for row in rejected] == [
        (3 * index, reason) for index, (_, reason, _) in enumerate(BAD_ROWS)
    ]
    assert {row["file"].rpartition("/")[2] for row in rejected} == {"log.csv" if write else "log.parquet"}
    assert rejected[0]["values"]["age"] == "old"
    assert rejected[0]["values"]["user"] == ROWS[0]["user"]


def test_without_its_bad_rows_a_log_gives_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path / "good", write_csv(tmp_path / "good.csv", ROWS))
    rows = [*ROWS[:30], {**ROWS[0], "age": "old"}, *ROWS[30:], {**ROWS[1], "click": 7}]
    run(tmp_path / "bad", write_csv(tmp_path / "bad.csv", rows))
    both = contents(tmp_path / "bad")
    assert [name for name in both if name.startswith("rejected/")] == ["rejected/file-00000.jsonl"]
    assert {name: content for name, content in both.items() if not name.startswith("rejected/")} == contents(
        tmp_path / "good"
    )


def test_ragged_lines(tmp_path: Path) -> None:
    lines = write_csv(tmp_path / "log.csv", ROWS).read_bytes().split(b"\n")
    lines[3] = b"r,too,short"
    lines[9] += b",one more"
    (tmp_path / "log.csv").write_bytes(b"\n".join(lines))
    manifest = run(tmp_path / "out", tmp_path / "log.csv")
    assert manifest["rows_in"] == 80
    assert manifest["rows_rejected"] == {
        "has 12 columns where the header has 11": 1, "has 3 columns where the header has 11": 1,
    }  # fmt: skip
    assert manifest["rows_written"] + manifest["rows_history_only"] == 78
    assert [row["reason"] for row in _rejected(tmp_path / "out")] == [
        "has 3 columns where the header has 11: r,too,short",
        f"has 12 columns where the header has 11: {lines[9].decode()}",
    ]


def test_rejected_rows_are_numbered_as_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a line that is no row lies before them, and where Arrow reads ahead of its batches."""
    monkeypatch.setattr("tfmtl.preprocessing.reading.text_file.CSV_BLOCK_BYTES", 1000)
    rows = [{**row, "age": "old" if i in (2, 5, 33, 79) else row["age"]} for i, row in enumerate(ROWS)]
    lines = write_csv(tmp_path / "log.csv", rows).read_bytes().split(b"\n")[:-1]
    ragged = (0, 4, 5, 30, 60, 82)  # and the last one
    for number in ragged:
        lines.insert(1 + number, b"too,short")
    (tmp_path / "log.csv").write_bytes(b"\n".join([*lines, b"too,short"]))
    manifest = run(tmp_path / "out", tmp_path / "log.csv")
    assert (manifest["rows_in"], manifest["rows_written"] + manifest["rows_history_only"]) == (87, 76)
    found = [(row["row"], row["reason"].partition(" ")[0]) for row in _rejected(tmp_path / "out")]
    content = (tmp_path / "log.csv").read_bytes().split(b"\n")[1:]
    kinds = ["has" if line == b"too,short" else "column" if b",old," in line else None for line in content]
    told = [(number, kind) for number, kind in enumerate(kinds) if kind]
    assert found == told
    assert len(told) == 11


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    content = write_csv(tmp_path / "log.csv", ROWS).read_bytes()
    lines = content.split(b"\n")
    lines[1] = lines[1].replace(ROWS[0]["row"].encode(), b"r\xe9\xff")
    (tmp_path / "log.csv").write_bytes(b"\n".join(lines))
    assert run(tmp_path / "out", tmp_path / "log.csv")["rows_rejected"] == {"column 'row' is not UTF-8 text": 1}
    assert _rejected(tmp_path / "out")[0]["values"]["row"] == "r\\xe9\\xff"


def test_values_with_line_breaks_and_quotes(tmp_path: Path) -> None:
    odd = ['a,"b"', "two\nlines", "three\r\nlines", "", 'in"ch']
    rows = [{**row, "item": odd[i % 5]} for i, row in enumerate(ROWS)]
    manifest = run(tmp_path / "out", write_csv(tmp_path / "log.csv", rows))
    assert manifest["rows_rejected"] == {}
    known = (tmp_path / "out" / "transform" / "vocabularies" / "item.txt").read_text(encoding="utf-8")
    assert sorted(known.split("\n")[:-1]) == ['a,"b"', 'in"ch']


def test_rejected_values_of_any_type_can_be_written(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "log.parquet", ROWS)
    table = parquet.read_table(path)
    tags = pa.array([[b"\xff", None]] + [[]] * 79, pa.list_(pa.binary()))
    price = pa.array([datetime.date(2020, 1, 1)] * 2 + [None] * 78)
    table = table.set_column(table.schema.get_field_index("tags"), "tags", tags)
    parquet.write_table(table.set_column(table.schema.get_field_index("price"), "price", price), path)
    run(tmp_path / "out", path)
    first, second = _rejected(tmp_path / "out")
    assert (first["reason"], first["values"]["tags"]) == ("column 'tags' is not UTF-8 text", ["\\xff", None])
    assert second["reason"] == "column 'price' is not a number: '2020-01-01'"
    assert second["values"]["price"] == "2020-01-01"
    assert second["values"]["ts"].startswith("2020-09-")


# === Bad files ===


def _cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


BAD_FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": ("log.csv", lambda p: p.write_bytes(b""), "is empty. A CSV file needs a header line."),
    "blank": ("log.csv", lambda p: p.write_bytes(b"\n\n"), "is empty. A CSV file needs a header line."),
    "empty packed": ("log.csv.gz", lambda p: p.write_bytes(gzip.compress(b"")), "is empty."),
    "packed and cut off": (
        "log.csv.gz",
        lambda p: p.write_bytes(_cut(write_csv(p, ROWS).read_bytes())),
        "is not readable to its end: Compressed file ended before the end-of-stream marker was reached. "
        "Nothing was kept.",
    ),
    "checksum cut off": (
        "log.csv.gz",
        lambda p: p.write_bytes(write_csv(p, ROWS).read_bytes()[:-5]),
        "is not readable to its end: Compressed file ended",
    ),
    "not packed": ("log.csv.gz", lambda p: p.write_bytes(b"row,user\n"), "is not readable: Not a gzipped file"),
    "broken packing": (
        "log.csv.gz",
        lambda p: p.write_bytes(write_csv(p, ROWS).read_bytes()[:40] + b"\x00" * 999),
        "is not readable: Error -3 while decompressing data",
    ),
    "zstd cut off": (
        "log.csv.zst",
        lambda p: p.write_bytes(_cut(write_csv(p, ROWS).read_bytes())),
        "is not readable: Truncated compressed stream.",
    ),
    "not zstd": ("log.csv.zst", lambda p: p.write_bytes(b"row,user\n"), "is not readable: ZSTD decompress failed"),
    "parquet cut off": (
        "log.parquet",
        lambda p: p.write_bytes(_cut(write_parquet(p, ROWS).read_bytes())),
        "is not readable: Parquet magic bytes not found in footer",
    ),
    "empty parquet": ("log.parquet", lambda p: p.write_bytes(b""), "is not readable: Parquet file size is 0 bytes"),
    "not parquet": (
        "log.parquet",
        lambda p: write_csv(p, ROWS),
        "is not readable: Parquet magic bytes not found in footer",
    ),
    "utf-16": (
        "log.csv",
        lambda p: p.write_bytes(write_csv(p, ROWS).read_bytes().decode().encode("utf-16")),
        "is not readable: 'utf-8' codec can't decode byte 0xff",
    ),
    "open quotation mark": (
        "log.csv",
        lambda p: p.write_bytes(write_csv(p, ROWS).read_bytes() + b'r999,"u\nr1000,v\n'),
        "ends inside a quoted value, so the rows after the last opening quotation mark cannot be told apart.",
    ),
    "open quotation mark in the last column": (
        "log.csv",
        lambda p: p.write_bytes(re.sub(rb",[^,\n]*\n([^\n]*\n)$", rb',"x\n\1', write_csv(p, ROWS).read_bytes())),
        "ends inside a quoted value",
    ),
    "missing columns": (
        "log.csv",
        lambda p: write_csv(p, [{n: row[n] for n in row if n not in ("age", "buy")} for row in ROWS]),
        "must have every column that the problem file names. It lacks 'age' (feature 'age'). "
        "It lacks 'buy' (label of task 'buy'). Received: ['row', 'user', 'ts',",
    ),
    "missing columns in parquet": (
        "log.parquet",
        lambda p: write_parquet(p, [{n: row[n] for n in row if n != "price"} for row in ROWS]),
        "must have every column that the problem file names. It lacks 'price' (feature 'price').",
    ),
    "a column with another name": (
        "log.csv",
        lambda p: p.write_bytes(write_csv(p, ROWS).read_bytes().replace(b"shown", b"show", 1)),
        "must have every column that the problem file names. It lacks 'shown' (examples). Did you mean 'show'?",
    ),
    "a column twice": (
        "log.csv",
        lambda p: p.write_bytes(write_csv(p, ROWS).read_bytes().replace(b"seconds", b"age", 1)),
        "must have every column that the problem file names. It lacks 'seconds' (label of task 'watch').",
    ),
    "a needed column twice": (
        "log.csv",
        lambda p: p.write_bytes(
            write_csv(p, [{**r, "more": 1} for r in ROWS]).read_bytes().replace(b"more", b"age", 1)
        ),
        "has more than one column of ['age']. Remove the others.",
    ),
}


@pytest.fixture(scope="module")
def old_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    run(folder / "out", write_csv(folder / "log.csv", ROWS))
    return folder / "out"


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_errors_and_the_old_output_stays(tmp_path: Path, old_output: Path, name: str) -> None:
    file, write, text = BAD_FILES[name]
    write(tmp_path / file)
    before = contents(old_output)
    good = write_csv(tmp_path / "another.csv", ROWS)
    with pytest.raises(InputError) as caught:
        run(old_output, good, tmp_path / file)
    assert str(caught.value).startswith(f"preprocess: file '{tmp_path / file}' {text}")
    assert "\n" not in str(caught.value)
    assert contents(old_output) == before
    assert [path.name for path in old_output.parent.iterdir() if path.name.startswith("out")] == ["out"]


@pytest.mark.parametrize("content", [b"{header}", b"{header}\n", b"\xef\xbb\xbf{header}\r\n"])
def test_a_header_alone_is_no_training_data(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log.csv").write_bytes(content.replace(b"{header}", ",".join(ROWS[0]).encode()))
    with pytest.raises(InputError, match="no training example is left of 0 rows"):
        run(tmp_path / "out", tmp_path / "log.csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "split", "text"),
    [
        (
            {"age": "x"},
            Split(),
            "of 80 rows. Rejected: {\"column 'age' is not a number\": 80}. Most were rejected because: column 'age' is "
            "not a number: 'x' (80 rows). Check the split and",
        ),
        ({"shown": 0}, Split(), "of 80 rows. Rejected: {}."),
        ({}, Split(valid_from=5, test_from=5), "of 80 rows. Rejected: {}."),
        ({}, Split(by="column", column="row"), "Rejected: {'split is none of train, valid, test': 80}"),
    ],
)
def test_no_training_row_is_left(tmp_path: Path, change: dict[str, object], split: Split, text: str) -> None:
    log = write_csv(tmp_path / "log.csv", [{**row, **change} for row in ROWS])
    with pytest.raises(InputError, match="preprocess: no training example is left .*" + re.escape(text)):
        run(tmp_path / "out", log, problem=replace(SMALL_PROBLEM, split=split))
    assert not (tmp_path / "out").exists()
    kept = tmp_path / "out.rejected" / "file-00000.jsonl"
    assert kept.is_file() == ("Rejected: {}" not in text and ": 80}" in text)
    assert not kept.is_file() or len(kept.read_text().splitlines()) == 80


@pytest.mark.parametrize(
    ("change", "split", "text"),
    [
        ({"ts": 7}, Split(), "so nothing for valid and test. Examples of one time stay together"),
        ({}, Split(valid_from=1_600_000_001, test_from=1_700_000_000), "so nothing for test. Give times inside the"),
        ({}, Split(by="user", valid=0.001, test=0.001), "Give a larger share, or a share of 0 where none is"),
    ],
)
def test_a_split_that_is_asked_for_is_not_empty(
    tmp_path: Path, change: dict[str, object], split: Split, text: str
) -> None:
    log = write_csv(tmp_path / "log.csv", [{**row, **change} for row in ROWS])
    rule = "preprocess: `split` must leave examples for every split that it asks for. Received: {'train': "
    with pytest.raises(InputError, match=re.escape(rule) + ".*" + re.escape(text)):
        run(tmp_path / "out", log, problem=replace(SMALL_PROBLEM, split=split))
    assert not (tmp_path / "out").exists()
    run(tmp_path / "out", log, problem=replace(SMALL_PROBLEM, split=Split(valid=0.0, test=0.0)))


# === Many bad rows, and rows that are very unequal ===


def test_half_of_the_rows_bad_and_encodings_mixed(tmp_path: Path) -> None:
    """Every second line is Latin-1; what is left is what a log of the good lines alone gives."""
    rows = [{**row, "user": "ü1"} if index % 2 else row for index, row in enumerate(small_log(2000))]
    lines = write_csv(tmp_path / "log.csv", rows).read_bytes().split(b"\n")
    lines[2::2] = [line.decode().encode("latin-1") for line in lines[2::2]]
    (tmp_path / "log.csv").write_bytes(b"\n".join(lines))
    manifest = run(tmp_path / "out", tmp_path / "log.csv")
    assert manifest["rows_rejected"] == {"column 'user' is not UTF-8 text": 1000}
    assert manifest["rows_in"] == 2000 == manifest["rows_written"] + manifest["rows_history_only"] + 1000
    rejected = _rejected(tmp_path / "out")
    assert [row["row"] for row in rejected] == list(range(1, 2000, 2))
    assert {row["values"]["user"] for row in rejected} == {"\\xfc1"}
    run(tmp_path / "good", write_csv(tmp_path / "good.csv", rows[::2]))
    assert (tmp_path / "out" / "requests.jsonl").read_bytes() == (tmp_path / "good" / "requests.jsonl").read_bytes()


def test_one_item_in_half_of_the_rows(tmp_path: Path) -> None:
    rows = [{**row, "item": "all" if index % 2 else f"i{index}"} for index, row in enumerate(small_log(2000))]
    write_csv(tmp_path / "log.csv", rows)
    problem = replace(SMALL_PROBLEM, split=Split(valid=0.0, test=0.0))
    run(tmp_path / "out", tmp_path / "log.csv", problem=problem)
    statistics = json.loads((tmp_path / "out" / "transform" / "statistics.json").read_text())
    assert statistics["vocabulary_counts"]["item"] == [1000]
    items = [values(record)["item"] for record in records(tmp_path / "out", "train")]
    shown = [row for row in rows if row["shown"]]
    assert items.count([2]) == sum(row["item"] == "all" for row in shown)
    assert items.count([1]) == sum(row["item"] != "all" for row in shown)


def test_counts_that_do_not_add_up_keep_the_old_output(
    tmp_path: Path, old_output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(old_output)
    whole = plan.canonicalize

    def lossy(*arguments: Any) -> Any:
        rows, reasons = whole(*arguments)
        return rows.slice(1), reasons

    monkeypatch.setattr(plan, "canonicalize", lossy)
    log = write_csv(tmp_path / "log.csv", ROWS)
    text = r"rows were lost\. Read: 80, written: \d+, history only: \d+, rejected: 0\. Files whose counts differ: "
    with pytest.raises(RuntimeError, match=text + re.escape(str([str(log)]))):
        run(old_output, log)
    assert contents(old_output) == before
    assert [path.name for path in old_output.parent.iterdir() if path.name.startswith("out")] == ["out"]
