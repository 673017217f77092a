"""Temporary files of canonical rows, between input files and buckets.

An engine that held the rows itself would need memory for the whole log. So a
worker writes what it has read to a piece, sorted by bucket, and hands on the
piece's name and where in it each bucket lies. A bundle that is run again writes
a piece of another name; the first is in nobody's list and goes with the folder.
"""

import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.writing import buckets

PIECE_BYTES = 64 << 20
_FEW_BUCKETS, _MOST_GROWTH = 512, 4
_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")
_PLAIN = pa.ipc.IpcWriteOptions()
_WORTH_PACKING = 1 << 18  # bytes: a packed part pays for each of its columns


@dataclass(frozen=True)
class Piece:
    """Rows of one input file, or of a part of it.

    Attributes:
        path: str.
        num_rows: int.
        ranges: `(bucket, first byte, byte after the last)` of every bucket that has rows.
    """

    path: str
    num_rows: int
    ranges: tuple[tuple[int, int, int], ...]

    def rows(self) -> pa.RecordBatch:
        """All rows."""
        with files.open_file(self.path) as stream:
            content = stream.read()
        batches = [_unpack(memoryview(content)[start:stop]) for _, start, stop in self.ranges]
        return _one_batch(batches)


class PieceWriter:
    """Writes the canonical rows of one input file in pieces of about `PIECE_BYTES`, and other tables as they are.

    Every piece has a part for each bucket, and a longer log has more of both. So that their product stays small beside
    the rows, pieces grow with the number of buckets from 512 on, up to four times.

    Args:
        folder: str. Where the pieces go.
        num_buckets: int.
    """

    def __init__(self, folder: str, num_buckets: int) -> None:
        self._folder = folder
        self._num_buckets = num_buckets
        self._piece_bytes = int(PIECE_BYTES * min(max(1.0, num_buckets / _FEW_BUCKETS), _MOST_GROWTH))
        self._held: list[pa.RecordBatch] = []

    def add(self, rows: pa.RecordBatch) -> Iterator[Piece]:
        """Takes a batch; yields a piece where one is full."""
        self._held.append(rows)
        if sum(batch.nbytes for batch in self._held) >= self._piece_bytes:
            yield from self.close()

    def close(self) -> Iterator[Piece]:
        """Yields the last piece, if there are rows left."""
        held, self._held = [batch for batch in self._held if batch.num_rows], []
        if held:
            yield _write(_one_batch(held), self._folder, self._num_buckets)

    def put_table(self, table: pa.Table) -> str:
        """Writes any table and returns the path for `read_table`."""
        path = _new_path(self._folder)
        with files.create(path) as stream, pa.ipc.new_stream(stream, table.schema, options=_PACKED) as writer:
            writer.write_table(table)
        return path


def read_table(path: str) -> pa.Table:
    """What `put_table` wrote."""
    with files.open_file(path) as stream, pa.ipc.open_stream(stream) as reader:
        return reader.read_all()


def read_range(path: str, start: int, stop: int) -> pa.RecordBatch:
    """The rows of one bucket in the piece at `path`."""
    with files.open_file(path) as stream:
        stream.seek(start)
        return _unpack(stream.read(stop - start))


def _write(rows: pa.RecordBatch, folder: str, num_buckets: int) -> Piece:
    path, ranges, start = _new_path(folder), [], 0
    with files.create(path) as stream:
        for bucket, part in buckets.partition(rows, num_buckets):
            packed, options = io.BytesIO(), _PACKED if part.nbytes >= _WORTH_PACKING else _PLAIN
            with pa.ipc.new_stream(packed, part.schema, options=options) as writer:
                writer.write_batch(part)
            stream.write(packed.getbuffer())
            ranges.append((bucket, start, start + packed.tell()))
            start += packed.tell()
    return Piece(path, rows.num_rows, tuple(ranges))


def _new_path(folder: str) -> str:
    return files.join(folder, f"{uuid.uuid4().hex}.arrow")


def _unpack(content: bytes | memoryview) -> pa.RecordBatch:
    with pa.ipc.open_stream(pa.py_buffer(content)) as reader:
        return reader.read_next_batch()


def _one_batch(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
