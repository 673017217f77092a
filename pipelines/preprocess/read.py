"""Log files to Arrow batches."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
from apache_beam.io.filesystems import FileSystems

BATCH_ROWS = 32_768
_CSV_BLOCK_BYTES = 4 << 20


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
        found = [m.path for result in FileSystems.match(matches) for m in result.metadata_list]
        files = sorted({path for path in found if _kind(path)})
        if not files:
            raise InputError(
                f"preprocess: input '{pattern}' must match at least one .csv, .tsv or .parquet file "
                f"(.csv.gz and .tsv.gz too). Received: {sorted(found) or 'no file'}."
            )
        paths += files
    return list(dict.fromkeys(paths))


def _kind(path: str) -> str | None:
    name = path.lower().removesuffix(".gz")
    return next((kind for kind in ("csv", "tsv", "parquet") if name.endswith("." + kind)), None)


def check_columns(paths: Sequence[str], required: Sequence[str]) -> None:
    """Reads every header and raises `InputError` if a column is missing, before any work is done."""
    for path in paths:
        try:
            with FileSystems.open(path) as stream:
                if _kind(path) == "parquet":
                    present = parquet.ParquetFile(stream).schema_arrow.names
                else:
                    present = _header(stream, path)
        except (OSError, EOFError, pa.ArrowException) as error:
            raise InputError(f"preprocess: file '{path}' is not readable: {error}.") from error
        missing = [column for column in required if column not in present]
        if missing:
            raise InputError(
                f"preprocess: file '{path}' must have the columns {missing} that the problem file names. "
                f"Received: {present}. Rename them in the log or in the problem file."
            )


def _header(stream: Any, path: str) -> list[str]:
    line = stream.readline()
    if not line.strip():
        raise InputError(f"preprocess: file '{path}' is empty. A CSV file needs a header line.")
    table = csv.read_csv(pa.BufferReader(line), parse_options=_parse_options(path, []))
    return list(table.column_names)


def _parse_options(path: str, rejected: list[tuple[int, str]]) -> csv.ParseOptions:
    def on_invalid(row: csv.InvalidRow) -> str:
        reason = f"has {row.actual_columns} columns where the header has {row.expected_columns}"
        rejected.append((row.number if row.number is not None else -1, f"{reason}: {row.text}"))
        return "skip"

    return csv.ParseOptions(
        delimiter="\t" if _kind(path) == "tsv" else ",", newlines_in_values=True, invalid_row_handler=on_invalid
    )


def read_batches(path: str, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch, list[tuple[int, str]]]]:
    """Yields `(number of the first row, batch, unreadable lines)` of one file, in file order.

    CSV columns come as binary, nothing guessed; Parquet columns as they are stored.

    Raises:
        InputError: the file ends in the middle or is not what its name says.
    """
    try:
        with FileSystems.open(path) as stream:
            if _kind(path) == "parquet":
                yield from _read_parquet(stream, columns)
            else:
                yield from _read_csv(stream, path, columns)
    except (OSError, EOFError, pa.ArrowException) as error:
        raise InputError(f"preprocess: file '{path}' is not readable to its end: {error}. Nothing was kept.") from error


def _read_parquet(stream: Any, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch, list[tuple[int, str]]]]:
    first_row = 0
    for batch in parquet.ParquetFile(stream).iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
        yield first_row, batch, []
        first_row += batch.num_rows


def _read_csv(
    stream: Any, path: str, columns: Sequence[str]
) -> Iterator[tuple[int, pa.RecordBatch, list[tuple[int, str]]]]:
    rejected: list[tuple[int, str]] = []
    reader = csv.open_csv(
        stream,
        read_options=csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK_BYTES),
        parse_options=_parse_options(path, rejected),
        convert_options=csv.ConvertOptions(
            include_columns=list(columns),
            column_types={column: pa.binary() for column in columns},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    first_row = 0
    for batch in reader:
        lines, rejected[:] = list(rejected), []
        yield first_row, batch, lines
        first_row += batch.num_rows
    if rejected:
        empty = pa.RecordBatch.from_arrays([pa.array([], pa.binary()) for _ in columns], names=list(columns))
        yield first_row, empty, list(rejected)


__all__ = ["BATCH_ROWS", "InputError", "check_columns", "expand", "read_batches"]
