"""The same rows give the same bytes, whatever the files, batches, workers and their order."""

import csv
from collections import Counter
from collections.abc import Iterator
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
from tfmtl.schema import Split

ROWS = small_log()
_CODED = pa.dictionary(pa.int16(), pa.string())


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The output for one plain CSV file in one batch."""
    folder = tmp_path_factory.mktemp("expected")
    run(folder / "out", write_csv(folder / "log.csv", ROWS))
    return contents(folder / "out")


def test_the_output_is_whole(expected: dict[str, bytes]) -> None:
    parts = [f"{split}/part-0000{i}-of-00003.tfrecord" for split in ("test", "train", "valid") for i in range(3)]
    vocabularies = [f"transform/vocabularies/{table}.txt" for table in ("item", "tags", "user")]
    fitted = ["transform/problem.yaml", "transform/statistics.json"]
    assert sorted(expected) == sorted(["requests.jsonl", *parts, *fitted, *vocabularies])
    assert sum(map(len, (expected[part] for part in parts))) > 10_000


@pytest.mark.parametrize("name", ["log.tsv", "log.csv.gz", "log.tsv.gz", "log.csv.zst", "LOG.CSV"])
def test_text_formats(expected: dict[str, bytes], tmp_path: Path, name: str) -> None:
    run(tmp_path / "out", write_csv(tmp_path / name, ROWS))
    assert contents(tmp_path / "out") == expected


@pytest.mark.parametrize(
    "options",
    [{"lineterminator": "\r\n"}, {"quoting": csv.QUOTE_ALL}, {"quoting": csv.QUOTE_ALL, "lineterminator": "\r\n"}],
)
def test_line_ends_and_quotes(expected: dict[str, bytes], tmp_path: Path, options: dict[str, Any]) -> None:
    run(tmp_path / "out", write_csv(tmp_path / "log.csv", ROWS, **options))
    assert contents(tmp_path / "out") == expected


def test_byte_order_mark_no_last_line_end_and_empty_lines(expected: dict[str, bytes], tmp_path: Path) -> None:
    lines = write_csv(tmp_path / "log.csv", ROWS).read_bytes().split(b"\n")
    lines[5:5] = [b"", b""]
    (tmp_path / "log.csv").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines).rstrip(b"\n"))
    run(tmp_path / "out", tmp_path / "log.csv")
    assert contents(tmp_path / "out") == expected


def test_columns_in_another_order_and_further_ones(expected: dict[str, bytes], tmp_path: Path) -> None:
    rows = [{"more": 'a,"b"\nc', **dict(reversed(row.items())), "last": None} for row in ROWS]
    run(tmp_path / "out", write_csv(tmp_path / "log.csv", rows))
    assert contents(tmp_path / "out") == expected


@pytest.mark.parametrize("options", [{}, {"row_group_size": 40}, {"compression": "zstd", "use_dictionary": False}])
def test_parquet(expected: dict[str, bytes], tmp_path: Path, options: dict[str, Any]) -> None:
    run(tmp_path / "out", write_parquet(tmp_path / "log.parquet", ROWS, **options))
    assert contents(tmp_path / "out") == expected


def test_lists_of_any_kind(expected: dict[str, bytes], tmp_path: Path) -> None:
    table = parquet.read_table(write_parquet(tmp_path / "log.parquet", ROWS))
    place = table.schema.get_field_index("tags")
    for name, kind in {"large": pa.large_list(pa.large_string()), "coded": pa.list_(_CODED)}.items():
        column = pa.array(table["tags"].to_pylist(), kind)
        parquet.write_table(table.set_column(place, "tags", column), tmp_path / f"{name}.parquet")
        run(tmp_path / name, tmp_path / f"{name}.parquet")
        assert contents(tmp_path / name) == expected


def test_files_without_rows_add_nothing(expected: dict[str, bytes], tmp_path: Path) -> None:
    write_csv(tmp_path / "log.csv", ROWS)
    (tmp_path / "header.csv").write_text(",".join(ROWS[0]))
    parquet.write_table(
        parquet.read_table(write_parquet(tmp_path / "none.parquet", ROWS))[:0], tmp_path / "none.parquet"
    )
    assert run(tmp_path / "out", tmp_path)["rows_in"] == len(ROWS)
    assert contents(tmp_path / "out") == expected


def test_small_batches(expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfmtl.preprocessing.reading.parquet_file.BATCH_ROWS", 7)
    monkeypatch.setattr("tfmtl.preprocessing.reading.text_file.CSV_BLOCK_BYTES", 300)
    monkeypatch.setattr("tfmtl.preprocessing.plan.FEW_ROWS", 3)
    monkeypatch.setattr("tfmtl.preprocessing.writing.pieces.PIECE_BYTES", 3000)
    monkeypatch.setattr("tfmtl.preprocessing.writing.encode._SLICE_ROWS", 11)
    run(tmp_path / "csv", write_csv(tmp_path / "log.csv", ROWS))
    run(tmp_path / "parquet", write_parquet(tmp_path / "log.parquet", ROWS))
    assert contents(tmp_path / "csv") == contents(tmp_path / "parquet") == expected


def test_rows_of_unlike_times_may_lie_in_any_file_and_order(expected: dict[str, bytes], tmp_path: Path) -> None:
    """With a user and a time in every row, and no two rows of a user at one time, files and order do not matter."""
    write_csv(tmp_path / "a.csv", ROWS[200:][::-1])
    write_parquet(tmp_path / "b.parquet", ROWS[:50])
    write_csv(tmp_path / "c.csv.gz", ROWS[50:200])
    run(tmp_path / "out", tmp_path)
    assert contents(tmp_path / "out") == expected


def test_ties_are_broken_by_file_and_row(tmp_path: Path) -> None:
    """Rows of a user at one time keep the order of the files; which events they see does not depend on it."""
    rows = small_log(ties=True)
    run(tmp_path / "one", write_csv(tmp_path / "log.csv", rows))
    run(tmp_path / "again", tmp_path / "log.csv")
    assert contents(tmp_path / "one") == contents(tmp_path / "again")
    run(tmp_path / "two", write_csv(tmp_path / "other.csv", rows[::-1]))
    assert contents(tmp_path / "one") != contents(tmp_path / "two")
    for split in ("train", "valid", "test"):
        assert _without_events(tmp_path / "one", split) == _without_events(tmp_path / "two", split)


def _without_events(folder: Path, split: str) -> dict[bytes, dict[str, Any]]:
    """Row -> what its example holds, of the sequences only their lengths."""
    examples = {row["key:group"][0]: row for row in map(values, records(folder, split))}
    return {
        row: {name: len(value) if "__" in name else value for name, value in example.items()}
        for row, example in examples.items()
    }


def test_packed_output(expected: dict[str, bytes], tmp_path: Path) -> None:
    run(tmp_path / "plain", write_csv(tmp_path / "log.csv", ROWS))
    run(tmp_path / "packed", tmp_path / "log.csv", compression="gzip")
    for split in ("train", "valid", "test"):
        assert [path.suffixes for path in sorted((tmp_path / "packed" / split).iterdir())] == [[".tfrecord", ".gz"]] * 3
        assert records(tmp_path / "packed", split) == records(tmp_path / "plain", split)


def _counted(folder: Path) -> Iterator[Counter[bytes]]:
    for split in ("train", "valid", "test"):
        yield Counter(records(folder, split))


def test_the_seed_orders_the_records(tmp_path: Path) -> None:
    log = write_csv(tmp_path / "log.csv", ROWS)
    for name, seed in {"a": 5, "b": 5, "c": 6}.items():
        run(tmp_path / name, log, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert records(tmp_path / "a", "train") != records(tmp_path / "c", "train")
    assert list(_counted(tmp_path / "a")) == list(_counted(tmp_path / "c"))


def test_the_number_of_shards_moves_records_only(tmp_path: Path) -> None:
    log = write_csv(tmp_path / "log.csv", ROWS)
    run(tmp_path / "a", log)
    run(tmp_path / "b", log, num_shards=1)
    assert list(_counted(tmp_path / "a")) == list(_counted(tmp_path / "b"))


def test_no_users_and_no_times(tmp_path: Path) -> None:
    problem = replace(
        SMALL_PROBLEM, keys=type(SMALL_PROBLEM.keys)(group="row"), sequences=(), split=Split(by="column", column="part")
    )
    rows = [{**row, "part": ("train", "valid", "test")[i % 3]} for i, row in enumerate(ROWS)]
    manifest = run(tmp_path / "out", write_csv(tmp_path / "log.csv", rows), problem=problem)
    shown = [row for row in rows if row["shown"]]
    for split in ("train", "valid", "test"):
        groups = [values(record)["key:group"][0].decode() for record in records(tmp_path / "out", split)]
        assert sorted(groups) == sorted(row["row"] for row in shown if row["part"] == split)
        assert manifest["splits"][split]["examples"] == len(groups)
