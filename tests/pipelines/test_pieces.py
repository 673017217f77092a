"""Rows that wait in files come back as they were; what nobody asks for is never read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.small_log import SMALL_PROBLEM, contents, run, small_log, write_csv
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.reading.canonical import canonicalize
from tfmtl.preprocessing.writing.buckets import partition
from tfmtl.preprocessing.writing.pieces import Piece, PieceWriter, read_range, read_table

ROWS = small_log(200)


def _canonical(first: int, stop: int) -> pa.RecordBatch:
    raw = {name: [ROWS[row][name] for row in range(first, stop)] for name in columns.raw_columns(SMALL_PROBLEM)}
    batch = pa.RecordBatch.from_pydict(raw)
    return canonicalize(SMALL_PROBLEM, batch, 0, first + np.arange(batch.num_rows))[0]


def _write(folder: Path, num_buckets: int) -> list[Piece]:
    writer = PieceWriter(str(folder), num_buckets)
    pieces = [piece for first in range(0, 200, 40) for piece in writer.add(_canonical(first, first + 40))]
    return [*pieces, *writer.close()]


@pytest.mark.parametrize(("batches", "num_pieces"), [(1, 5), (2, 3), (9, 1)])
def test_rows_come_back_whole_and_by_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int, num_pieces: int
) -> None:
    size = min(_canonical(first, first + 40).nbytes for first in range(0, 200, 40))
    monkeypatch.setattr("tfmtl.preprocessing.writing.pieces.PIECE_BYTES", batches * size)
    pieces = _write(tmp_path, 3)
    assert sum(piece.num_rows for piece in pieces) == 200
    assert len(pieces) == num_pieces
    expected = _canonical(0, 200)
    whole = pa.Table.from_batches([piece.rows() for piece in pieces]).sort_by(columns.ROW)
    assert whole.equals(pa.Table.from_batches([expected]))
    for bucket, rows in partition(expected, 3):
        parts = [read_range(p.path, start, stop) for p in pieces for b, start, stop in p.ranges if b == bucket]
        assert (
            pa.Table.from_batches(parts)
            .sort_by(columns.ROW)
            .equals(pa.Table.from_batches([rows]).sort_by("row:number"))
        )


@pytest.mark.parametrize(("num_buckets", "num_pieces"), [(512, 5), (1024, 3), (100_000, 2)])
def test_pieces_grow_with_the_buckets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_buckets: int, num_pieces: int
) -> None:
    size = min(_canonical(first, first + 40).nbytes for first in range(0, 200, 40))
    monkeypatch.setattr("tfmtl.preprocessing.writing.pieces.PIECE_BYTES", size)
    assert len(_write(tmp_path, num_buckets)) == num_pieces


@pytest.mark.parametrize("is_packed", [True, False])
def test_small_parts_are_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_packed: bool) -> None:
    monkeypatch.setattr("tfmtl.preprocessing.writing.pieces._WORTH_PACKING", 0 if is_packed else 1 << 30)
    [piece] = _write(tmp_path, 3)
    assert sum(read_range(piece.path, start, stop).num_rows for _, start, stop in piece.ranges) == 200


def test_no_rows_are_no_piece(tmp_path: Path) -> None:
    writer = PieceWriter(str(tmp_path), 3)
    assert [*writer.add(_canonical(0, 0)), *writer.close()] == []


def test_other_tables_come_back(tmp_path: Path) -> None:
    table = pa.table({"row": [3, 1], "reason": ["ü", None]})
    assert read_table(PieceWriter(str(tmp_path), 1).put_table(table)).equals(table)


def test_a_bundle_that_is_run_twice_doubles_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt's pieces lie in the folder all the same; only the second's names are handed on."""
    log = write_csv(tmp_path / "log.csv", ROWS)
    run(tmp_path / "once", log)
    close = PieceWriter.close
    left = []

    def close_twice(self: PieceWriter) -> Iterator[Piece]:
        held = list(self._held)
        left.extend(close(self))
        assert all(Path(piece.path).is_file() for piece in left)
        self._held = held
        yield from close(self)

    monkeypatch.setattr(PieceWriter, "close", close_twice)
    run(tmp_path / "twice", log)
    assert len(left) == 1
    assert contents(tmp_path / "twice") == contents(tmp_path / "once")
    assert not Path(left[0].path).exists()
