"""Rejected rows, from the batch they were found in to `rejected/`."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfmtl.folders import PreparedFolder
from tfmtl.preprocessing.reading import files

Reasons = Sequence[tuple[int, str]]  # row, and why it cannot be used

_LOOKED_AT = 10_000  # lines of a file, where an example of a reason is searched
_SHOWN_BYTES = 64  # of what is no text
_SCHEMA = pa.schema([("row", pa.int64()), ("reason", pa.string()), ("line", pa.string())])


def rejected_table(
    path: str, numbers: np.ndarray, batch: pa.RecordBatch, unreadable: Reasons, reasons: Reasons
) -> pa.Table | None:
    """The rejected rows of a batch with the lines to write for them; `None` without any.

    Args:
        path: the file.
        numbers: `(rows,)`, of the batch's rows in it, from 0.
        batch: the raw columns.
        unreadable: lines that are in no batch, by their number in the file.
        reasons: rows of the batch, by their place in it.
    """
    records: list[tuple[int, str, Any]] = [(line, reason, None) for line, reason in unreadable]
    rows_values = batch.take(pa.array([row for row, _ in reasons], pa.int64())).to_pylist()
    records += [(int(numbers[row]), reason, values) for (row, reason), values in zip(reasons, rows_values, strict=True)]
    if not records:
        return None
    lines = [
        json.dumps({"file": path, "row": row, "reason": reason, "values": values}, default=_printable)
        for row, reason, values in records
    ]
    rows, why, _ = zip(*records, strict=True)
    return pa.table([pa.array(rows), pa.array(why), pa.array(lines)], schema=_SCHEMA)


def write_rejected(directory: str, number: int, tables: Iterable[pa.Table]) -> dict[str, int]:
    """Writes one JSON-lines file with the rejected rows of an input file, and counts them by reason.

    Args:
        directory: the file goes to `rejected/` below it.
        number: of the input file.
        tables: what `rejected_table` returned for its batches, in any order.
    """
    table = pa.concat_tables(list(tables)).sort_by([("row", "ascending"), ("reason", "ascending")])
    with files.create(files.join(directory, *PreparedFolder.rejected_file(number).split("/"))) as stream:
        stream.write("".join(f"{line}\n" for line in table["line"].to_pylist()).encode())
    return dict(Counter(reason.split(": ")[0] for reason in table["reason"].to_pylist()))


def worst_rejection(directory: str, reason: str) -> str:
    """The reason as it stands at one of its rows, value included; the reason alone where none is found soon.

    Args:
        directory: of the output.
        reason: as `write_rejected` counts it.
    """
    for path in sorted(files.match([files.join(directory, PreparedFolder.REJECTED, "*")])):
        with files.open_file(path) as stream:
            for line in itertools.islice(stream, _LOOKED_AT):
                found = str(json.loads(line)["reason"])
                if found.split(": ")[0] == reason:
                    return found
    return reason


def _printable(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:  # of a picture, say, the beginning is enough
        more = f"... ({len(value):,} bytes)" if len(value) > _SHOWN_BYTES else ""
        return value[:_SHOWN_BYTES].decode("utf-8", "backslashreplace") + more
