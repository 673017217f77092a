"""Read JSON lines files as Arrow batches."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pyarrow as pa

from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.reading.raw_batch import LINES, RawBatch
from tfmtl.schema.spelling import spelled

BATCH_ROWS = 32_768
_MOST_BYTES = 2 << 20  # of one line
_BLOCK_BYTES = 16 << 20  # of the lines that are held at once
_HEADER_LINES = 1_000
_MOST_SHOWN = 200

Open = Callable[[str], AbstractContextManager[Any]]


class JsonLinesFile:
    """One file of a log with a JSON object per line; a key that is left out is missing.

    Args:
        path: str.
        open_file: gives the unpacked bytes of a path.
    """

    def __init__(self, path: str, open_file: Open) -> None:
        self._path = path
        self._open = open_file

    def header(self) -> list[str]:
        """The keys of the first 1,000 lines.

        Raises:
            InputError: none of these is a JSON object.
        """
        found: dict[str, None] = {}
        with self._open(self._path) as stream:
            for _, line in zip(range(_HEADER_LINES), _lines(stream), strict=False):
                record, _ = _read(line)
                found |= dict.fromkeys(record or ())
        if not found:
            raise InputError(f"preprocess: file '{self._path}' must hold a JSON object per line. There is none.")
        return list(found)

    def batches(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """The rows of the file, in its order."""
        count = 0
        with self._open(self._path) as stream:
            lines = _lines(stream)
            while held := _block(lines):
                yield _batch(held, columns, count)
                count += len(held)
        yield _batch([], columns, count, {LINES: count})


def _lines(stream: Any) -> Iterator[bytes]:
    """The lines that are not empty; of one that is too long as much as tells that it is."""
    while line := stream.readline(_MOST_BYTES + 1):
        rest = line
        while len(rest) > _MOST_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(_MOST_BYTES + 1)
        if line.strip():
            yield line


def _block(lines: Iterator[bytes]) -> list[bytes]:
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if len(held) == BATCH_ROWS or size >= _BLOCK_BYTES:
            break
    return held


def _batch(
    lines: Sequence[bytes], columns: Sequence[str], first: int, counts: dict[str, int] | None = None
) -> RawBatch:
    records: list[dict[str, Any]] = []
    numbers: list[int] = []
    unreadable: list[tuple[int, str]] = []
    for number, line in enumerate(lines, first):
        record, reason = _read(line)
        if record is not None:
            reason = next((f"column '{name}' holds a record" for name in columns if _is_nested(record.get(name))), None)
        if record is None or reason is not None:
            unreadable.append((number, f"{reason}: {line[:_MOST_SHOWN].decode('utf-8', 'backslashreplace').strip()}"))
        else:
            records.append(record)
            numbers.append(number)
    arrays = [_column([record.get(name) for record in records]) for name in columns]
    rows = pa.RecordBatch.from_arrays(arrays, names=list(columns))
    return RawBatch(np.array(numbers, np.int64), rows, unreadable, counts or {})


def _read(line: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """The object of a line, or why there is none."""
    if len(line) > _MOST_BYTES:
        return None, f"is longer than {_MOST_BYTES:,} bytes"
    try:
        record = json.loads(line.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        return None, f"is not JSON ({error})" if isinstance(error, _DoubledKey) else "is not JSON"
    return (record, None) if isinstance(record, dict) else (None, "is not a JSON object")


class _DoubledKey(ValueError):
    """An object has a key twice, of which JSON readers keep the last."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DoubledKey("a key occurs twice")
    return found


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value))


def _column(values: list[Any]) -> pa.Array:
    """Values of one type as they are, of several as text: a value's spelling does not depend on its neighbors."""
    types = {type(value) for value in values} - {type(None)}
    if list in types:  # one value among lists is a list of one
        lists = [value if value is None or isinstance(value, list) else [value] for value in values]
        return pa.array(
            [None if row is None else [_text(item) for item in row] for row in lists], pa.list_(pa.string())
        )
    if types <= {str}:
        return pa.array(values, pa.string())
    kinds = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if len(types) == 1:
        try:
            return pa.array(values, kinds[types.pop()])
        except (OverflowError, pa.ArrowInvalid):  # more digits than 64 bits hold
            pass
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else spelled(value)
