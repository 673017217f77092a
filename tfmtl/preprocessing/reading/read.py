"""Read log files as Arrow batches."""

import gzip
import io
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.reading.column_types import disagreements, unreadable_columns
from tfmtl.preprocessing.reading.find import expand, kind_of, partition_values
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.reading.json_lines_file import JsonLinesFile
from tfmtl.preprocessing.reading.long_values import bounded
from tfmtl.preprocessing.reading.parquet_file import read_parquet
from tfmtl.preprocessing.reading.present_columns import RENAME_IN_LOG, check_present
from tfmtl.preprocessing.reading.raw_batch import RawBatch
from tfmtl.preprocessing.reading.text_file import TextFile
from tfmtl.schema import Dialect

__all__ = ["InputError", "check_columns", "expand", "read_batches"]

_UNREADABLE = (OSError, EOFError, UnicodeDecodeError, zlib.error, pa.ArrowException)
_USUAL = Dialect()


def check_columns(
    paths: Sequence[str], required: Mapping[str, str], numbers: Collection[str] = (), dialect: Dialect = _USUAL
) -> list[str]:
    """Reads every header and raises `InputError` if a column is missing or cannot be read, before any work is done.

    Args:
        paths: the files.
        required: column -> the place in the problem file that names it.
        numbers: those of which only the value of a number matters. Defaults to none.
        dialect: of the text files. Defaults to what they usually are.

    Returns:
        Warnings about columns that the files store as different types.
    """
    schemas: list[tuple[str, pa.Schema]] = []
    for path in paths:
        try:
            if kind_of(path) == "parquet":
                with _open(path) as stream:
                    schema = parquet.ParquetFile(stream).schema_arrow
                present = schema.names
                further = [key for key in partition_values(path) if key not in present]
                schemas.append((path, pa.schema([*schema, *(pa.field(key, pa.string()) for key in further)])))
            else:
                present = _text_file(path, dialect).header()
                further = [key for key in partition_values(path) if key not in present]
        except _UNREADABLE as error:
            raise InputError(f"preprocess: file '{path}' is not readable: {error}.") from error
        check_present(f"file '{path}'", required, [*present, *further], RENAME_IN_LOG)
        doubled = [column for column in required if present.count(column) > 1]
        if doubled:
            raise InputError(f"preprocess: file '{path}' has more than one column of {doubled}. Remove the others.")
        if schemas and schemas[-1][0] == path and (unreadable := unreadable_columns(schemas[-1][1], required)):
            raise InputError(f"preprocess: file '{path}': {'; '.join(unreadable)}.")
    return disagreements(schemas, list(required), numbers)


def read_batches(path: str, columns: Sequence[str], dialect: Dialect = _USUAL) -> Iterator[RawBatch]:
    """The rows of one file, in its order.

    CSV columns come as binary, nothing guessed; Parquet and JSON columns in the plain types of `tfmtl.values`. A
    column that the file lacks has the value of the folder that is called after it.

    Raises:
        InputError: the file ends in the middle, is not what its name says, or loses lines on the way.
    """
    try:
        from_folders = _from_folders(path, columns, dialect)
        stored = [column for column in columns if column not in from_folders]
        for whole in _read(path, stored, dialect):
            for batch in bounded(whole):
                yield _with_constants(batch, columns, from_folders) if from_folders else batch
    except _UNREADABLE as error:
        raise InputError(f"preprocess: file '{path}' is not readable to its end: {error}. Nothing was kept.") from error


def _read(path: str, columns: Sequence[str], dialect: Dialect) -> Iterator[RawBatch]:
    if kind_of(path) == "parquet":
        with _open(path) as stream:
            yield from read_parquet(stream, path, columns)
    else:
        yield from _text_file(path, dialect).batches(columns)


def _from_folders(path: str, columns: Sequence[str], dialect: Dialect) -> dict[str, str | None]:
    """The columns that the file itself lacks."""
    values = {column: value for column, value in partition_values(path).items() if column in columns}
    if not values:
        return {}
    if kind_of(path) == "parquet":
        with _open(path) as stream:
            present = parquet.ParquetFile(stream).schema_arrow.names
    else:
        present = _text_file(path, dialect).header()
    return {column: value for column, value in values.items() if column not in present}


def _with_constants(batch: RawBatch, columns: Sequence[str], values: Mapping[str, str | None]) -> RawBatch:
    arrays = [
        pa.repeat(pa.scalar(values[column], pa.string()), batch.rows.num_rows)
        if column in values
        else batch.rows.column(column)
        for column in columns
    ]
    return replace(batch, rows=pa.RecordBatch.from_arrays(arrays, names=list(columns)))


def _text_file(path: str, dialect: Dialect) -> TextFile | JsonLinesFile:
    if kind_of(path) == "jsonl":
        return JsonLinesFile(path, _open)
    return TextFile(path, kind_of(path) == "tsv", dialect, _open)


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
