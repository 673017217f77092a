"""Read Parquet files as Arrow batches."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.reading.long_values import MOST_BATCH_BYTES
from tfmtl.preprocessing.reading.raw_batch import LINES, RawBatch
from tfmtl.values.plain_arrow import is_list, plain

BATCH_ROWS = 32_768
_DICTIONARIES = {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}
_WHOLE_BYTES = 1 << 20  # up to these, writers put all texts of a column into its dictionary


def read_parquet(stream: Any, path: str, columns: Sequence[str]) -> Iterator[RawBatch]:
    """The rows of one file, in its order; texts that would fill the memory are still numbers and a dictionary.

    Raises:
        InputError: the file does not hold the rows that it says.
    """
    metadata = parquet.ParquetFile(stream).metadata
    coded, row_bytes = _coded(metadata, columns)
    batch_rows = max(1, min(BATCH_ROWS, int(MOST_BATCH_BYTES / max(row_bytes, 1))))
    first_row, counts = 0, {LINES: metadata.num_rows}
    for group in range(metadata.num_row_groups):
        for batch in _group_batches(stream, metadata, group, columns, coded, batch_rows):
            yield RawBatch(np.arange(first_row, first_row + batch.num_rows), batch, (), counts)
            first_row, counts = first_row + batch.num_rows, {}
    if first_row != metadata.num_rows:
        raise InputError(
            f"preprocess: file '{path}' says that it has {metadata.num_rows:,} rows, but {first_row:,} were read. "
            "Nothing was kept."
        )


def _group_batches(
    stream: Any, metadata: Any, group: int, columns: Sequence[str], coded: Mapping[str, int], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Rows of one row group; texts of which few differ, and those that may be long, are kept as numbers.

    That is faster where a dictionary holds them all and slower where it ran full.
    """
    chunks = metadata.row_group(group)
    small = [p for p, i in coded.items() if p in columns and chunks.column(i).total_uncompressed_size < _WHOLE_BYTES]
    large = {path: index for path, index in coded.items() if path not in small}
    longs = small + _with_long_values(stream, metadata, group, large)
    done = 0
    try:
        for batch in _open(stream, metadata, longs).iter_batches(batch_rows, [group], list(columns)):
            yield batch
            done += batch.num_rows
    except pa.ArrowNotImplementedError:  # in lists, where dictionaries change within the group
        flat = [path for path in longs if path in columns]
        if len(flat) == len(longs):
            raise
        seen = 0
        for batch in _open(stream, metadata, flat).iter_batches(batch_rows, [group], list(columns)):
            seen += batch.num_rows
            if seen > done:
                yield batch.slice(max(0, batch.num_rows - (seen - done)))


def _with_long_values(stream: Any, metadata: Any, group: int, coded: Mapping[str, int]) -> list[str]:
    """Of the texts stored by number, those whose dictionary holds one that would fill the memory if all rows had it.

    A dictionary comes whole with the first row.
    """
    if not coded or not metadata.row_group(group).num_rows:
        return []
    try:  # all of them at once: opening a file costs more than looking at a dictionary
        first = _first_row(stream, metadata, group, list(coded))
    except pa.ArrowNotImplementedError:
        first = {}
        for path in coded:
            with contextlib.suppress(pa.ArrowNotImplementedError):  # a list whose dictionaries change
                first |= _first_row(stream, metadata, group, [path])
    found = []
    for path, longest in first.items():
        if longest * metadata.row_group(group).column(coded[path]).num_values > MOST_BATCH_BYTES:
            found.append(path)
    return found


def _first_row(stream: Any, metadata: Any, group: int, coded: Sequence[str]) -> dict[str, int]:
    """Text's place -> bytes of the longest value in its dictionary, for those that come with one."""
    [row] = itertools.islice(_open(stream, metadata, coded).iter_batches(1, [group], list(coded)), 1)
    longest = {}
    for path in coded:
        values = row.column(path.partition(".")[0])
        while is_list(values.type):
            values = values.values
        if pa.types.is_dictionary(values.type) and len(values.dictionary):
            longest[path] = pc.max(pc.binary_length(plain(values.dictionary))).as_py() or 0
    return longest


def _open(stream: Any, metadata: Any, coded: Sequence[str]) -> Any:
    return parquet.ParquetFile(stream, metadata=metadata, read_dictionary=list(coded))


def _coded(metadata: Any, columns: Sequence[str]) -> tuple[dict[str, int], float]:
    """Place and column of texts that are stored by number, and bytes of a row of all columns as they are stored."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    coded: dict[str, int] = {}
    row_bytes = np.zeros(len(groups))
    for index in range(metadata.num_columns):
        leaf = metadata.schema.column(index)
        if not any(leaf.path == column or leaf.path.startswith(f"{column}.") for column in columns):
            continue
        chunks = [group.column(index) for group in groups]
        row_bytes += [
            chunk.total_uncompressed_size / max(group.num_rows, 1) for chunk, group in zip(chunks, groups, strict=True)
        ]
        if leaf.physical_type == "BYTE_ARRAY" and any(_DICTIONARIES & set(chunk.encodings) for chunk in chunks):
            coded[leaf.path] = index
    return coded, float(row_bytes.max(initial=0.0))
