"""Log files to Arrow batches."""

import gzip
import io
import itertools
import os
import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.reading.column_types import disagreements, unreadable_columns
from tfmtl.preprocessing.reading.ended_stream import END, EndedStream
from tfmtl.schema.shown import shown
from tfmtl.schema.strict import did_you_mean
from tfmtl.values.plain_arrow import plain_batch

BATCH_ROWS = 32_768
CSV_BLOCK_BYTES = 4 << 20
_SHARD = re.compile(r"(?P<before>.*)-(?P<index>\d+)-of-(?P<total>\d+)(?P<after>\D*)")
_SHOWN_MISSING = 10
_UNREADABLE = (OSError, EOFError, UnicodeDecodeError, zlib.error, pa.ArrowException)


RawBatch = tuple[np.ndarray, pa.RecordBatch, list[tuple[int, str]]]


class InputError(ValueError):
    """An input file cannot be used: the text names the file and says why."""


def expand(patterns: Sequence[str]) -> list[str]:
    """Files matching the patterns (a folder means all log files in it), sorted so that every run sees one order.

    Raises:
        InputError: nothing matches, or a file is of an unknown kind.
    """
    paths: list[str] = []
    for pattern in patterns:
        matches = [pattern, pattern.rstrip("/") + "/*"]
        found = files.match(matches)
        logs = sorted({path for path in found if _kind(path) and not os.path.isdir(path)})
        if not logs:
            raise InputError(
                f"preprocess: input '{pattern}' must match at least one .csv, .tsv or .parquet file "
                f"(.csv and .tsv also as .gz or .zst). Received: {shown(sorted(found)) if found else 'no file'}."
            )
        paths += logs
    paths = list(dict.fromkeys(paths))
    _check_shards(paths)
    return paths


def _check_shards(paths: Sequence[str]) -> None:
    """Raises `InputError` where files are numbered `...-00000-of-00004...` and a number is missing."""
    found: dict[tuple[str, int, str], set[int]] = {}
    for path in paths:
        named = _SHARD.fullmatch(path)
        if named:
            found.setdefault((named["before"], int(named["total"]), named["after"]), set()).add(int(named["index"]))
    for (before, total, after), present in found.items():
        first = 1 if 0 not in present and total in present else 0
        missing = list(itertools.islice((i for i in range(first, first + total) if i not in present), _SHOWN_MISSING))
        if missing:
            raise InputError(
                f"preprocess: files '{before}-*-of-{total}{after}' must be complete. Missing: {missing}. "
                "Give all of them, or rename those that are meant to be read alone."
            )


def _kind(path: str) -> str | None:
    name = path.lower().removesuffix(".gz").removesuffix(".zst")
    return next((kind for kind in ("csv", "tsv", "parquet") if name.endswith("." + kind)), None)


def check_columns(paths: Sequence[str], required: Mapping[str, str], numbers: Collection[str] = ()) -> list[str]:
    """Reads every header and raises `InputError` if a column is missing or cannot be read, before any work is done.

    Args:
        paths: the files.
        required: column -> the place in the problem file that names it.
        numbers: those of which only the value of a number matters. Defaults to none.

    Returns:
        Warnings about columns that the files store as different types.
    """
    schemas: list[tuple[str, pa.Schema]] = []
    for path in paths:
        try:
            with _open(path) as stream:
                if _kind(path) == "parquet":
                    schemas.append((path, parquet.ParquetFile(stream).schema_arrow))
                    present = schemas[-1][1].names
                else:
                    present = _header(stream, path)
        except _UNREADABLE as error:
            raise InputError(f"preprocess: file '{path}' is not readable: {error}.") from error
        missing = [
            f"'{column}' ({place}).{did_you_mean(column, present)}"
            for column, place in required.items()
            if column not in present
        ]
        if missing:
            raise InputError(
                f"preprocess: file '{path}' must have every column that the problem file names. It lacks "
                f"{' It lacks '.join(missing)} Received: {shown(present)}. Rename it in the log or in the problem file."
            )
        doubled = [column for column in required if present.count(column) > 1]
        if doubled:
            raise InputError(f"preprocess: file '{path}' has more than one column of {doubled}. Remove the others.")
        if schemas and schemas[-1][0] == path and (unreadable := unreadable_columns(schemas[-1][1], required)):
            raise InputError(f"preprocess: file '{path}': {'; '.join(unreadable)}.")
    return disagreements(schemas, list(required), numbers)


@contextmanager
def _open(path: str) -> Iterator[Any]:
    """The file's bytes, unpacked; Beam's own unpacking takes a cut-off file for a whole one."""
    with files.open_file(path) as stream:
        if path.lower().endswith(".gz"):
            with gzip.open(stream) as unpacked:
                yield unpacked
        elif path.lower().endswith(".zst"):
            with io.BufferedReader(pa.CompressedInputStream(stream, "zstd")) as unpacked:
                yield unpacked
        else:
            yield stream


def _header(stream: Any, path: str) -> list[str]:
    line = stream.readline()
    if not line.strip():
        raise InputError(f"preprocess: file '{path}' is empty. A CSV file needs a header line.")
    table = csv.read_csv(pa.BufferReader(line + b"\n"), parse_options=_parse_options(path, []))
    return list(table.column_names)


def _parse_options(path: str, invalid: list[csv.InvalidRow]) -> csv.ParseOptions:
    def on_invalid(row: csv.InvalidRow) -> str:
        invalid.append(row)
        return "skip"

    return csv.ParseOptions(
        delimiter="\t" if _kind(path) == "tsv" else ",", newlines_in_values=True, invalid_row_handler=on_invalid
    )


def read_batches(path: str, columns: Sequence[str]) -> Iterator[RawBatch]:
    """Yields `(numbers of the rows, batch, unreadable lines with their numbers)` of one file, in file order.

    The first row of the file is number 0, and unreadable lines count; those of a batch may lie behind it.
    CSV columns come as binary, nothing guessed; Parquet columns in the plain types of `tfmtl.values`.

    Raises:
        InputError: the file ends in the middle or is not what its name says.
    """
    try:
        with _open(path) as stream:
            if _kind(path) == "parquet":
                yield from _read_parquet(stream, columns)
            else:
                yield from _read_csv(stream, path, columns)
    except _UNREADABLE as error:
        raise InputError(f"preprocess: file '{path}' is not readable to its end: {error}. Nothing was kept.") from error


def _read_parquet(stream: Any, columns: Sequence[str]) -> Iterator[RawBatch]:
    first_row = 0
    for batch in parquet.ParquetFile(stream).iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
        yield np.arange(first_row, first_row + batch.num_rows), plain_batch(batch), []
        first_row += batch.num_rows


def _read_csv(stream: Any, path: str, columns: Sequence[str]) -> Iterator[RawBatch]:
    invalid: list[csv.InvalidRow] = []
    reader = csv.open_csv(
        io.BufferedReader(EndedStream(stream)),
        read_options=csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK_BYTES),
        parse_options=_parse_options(path, invalid),
        convert_options=csv.ConvertOptions(
            include_columns=list(columns),
            column_types={column: pa.binary() for column in columns},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    empty = pa.RecordBatch.from_arrays([pa.array([], pa.binary()) for _ in columns], names=list(columns))
    first_row = 0
    rows_before: list[int] = []  # each unreadable line: how many readable ones lie before it
    has_end = False
    for batch in itertools.chain(reader, [empty]):
        has_end = has_end or any(row.text == END for row in invalid)
        lines = [(row.number - 2, _ragged(row)) for row in invalid if row.text != END]  # Arrow's header is row 1
        rows_before += [number - len(rows_before) - i for i, (number, _) in enumerate(lines)]
        rows = np.arange(first_row, first_row + batch.num_rows)
        rows += np.searchsorted(rows_before, rows, side="right")
        invalid.clear()
        if batch.num_rows or lines:
            yield rows, batch, lines
        first_row += batch.num_rows
    if not has_end:
        raise InputError(
            f"preprocess: file '{path}' ends inside a quoted value, so the rows after the last opening quotation mark "
            "cannot be told apart. Close it, or double the marks that belong to the text. Nothing was kept."
        )


def _ragged(row: csv.InvalidRow) -> str:
    return f"has {row.actual_columns} columns where the header has {row.expected_columns}: {row.text}"
