"""Bound the memory of batches: cut values that are too long, and split batches whose texts are too large.

A Parquet file of some kilobytes can hold one text of a megabyte in a dictionary and name it in every row.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing.reading.raw_batch import RawBatch
from tfmtl.values.arrow_text import flatten
from tfmtl.values.plain_arrow import is_list, is_text, plain, plain_batch, storage_type

MOST_VALUE_BYTES = 1 << 18
MOST_BATCH_BYTES = 64 << 20


def bounded(raw: RawBatch) -> Iterator[RawBatch]:
    """The batch in the plain types of `tfmtl.values`, in parts that fit into memory; texts may stay coded.

    Rows with a value of more than 256 KiB, in any column that is read, are unreadable.
    """
    sizes = np.zeros(raw.rows.num_rows, np.int64)  # of what is still to be written out
    reasons: dict[int, str] = {}
    for name, column in zip(raw.rows.schema.names, raw.rows.columns, strict=True):
        found = _lengths(column)
        if found is None:
            continue
        rows, lengths, is_coded = found
        for place in np.flatnonzero(lengths > MOST_VALUE_BYTES).tolist():
            text = f"column '{name}' holds a value of more than {MOST_VALUE_BYTES:,} bytes: {lengths[place]:,}"
            reasons.setdefault(int(rows[place]), text)
        if is_coded:
            np.add.at(sizes, rows, lengths)
    if not reasons and sizes.sum() <= MOST_BATCH_BYTES:
        yield replace(raw, rows=plain_batch(raw.rows, keep_coded=True))
        return
    kept = np.delete(np.arange(raw.rows.num_rows), list(reasons))
    parts = np.cumsum(sizes[kept]) // MOST_BATCH_BYTES
    columns = [column if _is_coded(column.type) else plain(column) for column in raw.rows.columns]
    places = np.split(kept, np.flatnonzero(np.diff(parts)) + 1)
    unreadable = [*raw.unreadable, *((int(raw.numbers[row]), reason) for row, reason in sorted(reasons.items()))]
    for index, some in enumerate(places):
        part = pa.RecordBatch.from_arrays(
            [column.take(pa.array(some, pa.int64())) for column in columns], names=raw.rows.schema.names
        )
        first = index == 0
        yield RawBatch(raw.numbers[some], plain_batch(part), unreadable if first else (), raw.counts if first else {})


def _lengths(column: pa.Array) -> tuple[np.ndarray, np.ndarray, bool] | None:
    """Of every value its row and its length in bytes, and whether values are coded; `None` where none can be long."""
    is_coded = _is_coded(column.type)
    if not is_text(storage_type(_single(column.type))):
        return None
    if not is_coded:
        column = plain(column)
        if column.nbytes <= MOST_VALUE_BYTES:
            return None
    values, rows = flatten(column) if is_list(column.type) else (column, np.arange(len(column)))
    if not is_coded:
        return rows, _binary_lengths(values), False
    each = _binary_lengths(plain(values.dictionary))
    longest = int(each.max(initial=0))
    if longest <= MOST_VALUE_BYTES and longest * len(values) <= MOST_BATCH_BYTES:
        return None
    codes = pc.fill_null(values.indices, len(each)).to_numpy(zero_copy_only=False)
    return rows, np.append(each, 0)[codes], True


def _single(kind: pa.DataType) -> pa.DataType:
    """The type of one value of a row."""
    return kind.value_type if is_list(kind) else kind


def _is_coded(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(_single(kind)))


def _binary_lengths(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False), np.int64)
