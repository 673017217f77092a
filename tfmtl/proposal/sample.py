"""A bounded sample of a log's rows, spread over its files."""

import csv as text_csv
import gzip
import io
import itertools
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from tfmtl.preprocessing.reading.find import kind_of
from tfmtl.preprocessing.reading.json_lines_file import JsonLinesFile
from tfmtl.preprocessing.reading.read import InputError, expand
from tfmtl.schema.checks import check_positive_int
from tfmtl.schema.shown import shown
from tfmtl.values.plain_arrow import plain_batch

SAMPLE_ROWS = 100_000
_MOST_FILES = 20
_PARTS = 16  # of a file, from which rows are taken
_PART_BYTES = 256 << 10
_GZIP_BYTES = 1 << 30  # a packed file can only be read from its start: so much of it, unpacked, is looked at


@dataclass(frozen=True)
class Sample:
    """Rows of a log.

    Attributes:
        rows: CSV columns as text, Parquet columns as they are stored; null where missing or empty.
        total_rows: of all files; counted for Parquet, estimated from the bytes for CSV.
        num_files: files that the log has; 0 where it is no file.
        files_read: files that the rows come from.
    """

    rows: pa.Table
    total_rows: int
    num_files: int
    files_read: int


def read_sample(inputs: Sequence[str], num_rows: int = SAMPLE_ROWS, owner: str = "schema infer") -> Sample:
    """At most about `num_rows` rows from up to 20 files, from 16 places of each.

    Args:
        inputs: files, patterns or folders of CSV, TSV, JSON-lines (each with .gz) or Parquet files on this machine.
        num_rows: int. Defaults to `100_000`.
        owner: str. What the user called, for errors. Defaults to `"schema infer"`.

    Raises:
        InputError: nothing matches, a file is not readable or has no header, or its columns differ from the first's.
    """
    check_positive_int(owner, "rows", num_rows)
    files = expand(inputs, owner)
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, _MOST_FILES).round().astype(int))]
    each = -(-num_rows // len(chosen))
    tables, total = [], 0.0
    for path in chosen:
        try:
            table, count = _read(path, each, owner)
        except (OSError, EOFError, UnicodeDecodeError, pa.ArrowException) as error:
            raise InputError(f"{owner}: file '{path}' is not readable: {error}.") from error
        tables.append(table)
        total += count
    names = tables[0].column_names
    for path, table in zip(chosen, tables, strict=True):
        if set(table.column_names) != set(names):
            raise InputError(
                f"{owner}: file '{path}' must have the columns of '{chosen[0]}'. Received: "
                f"{shown(table.column_names)} and {shown(names)}. Give files of one table."
            )
    rows = pa.concat_tables([table.select(names) for table in tables], promote_options="permissive")
    if rows.num_rows == 0:
        raise InputError(f"{owner}: '{chosen[0]}' holds no row. Give a log with rows.")
    return Sample(rows, round(total * len(files) / len(chosen)), len(files), len(chosen))


def sample_of(table: pa.Table, num_rows: int = SAMPLE_ROWS) -> Sample:
    """At most `num_rows` rows from all over a table, none of it a file.

    Args:
        table: with one row at least.
        num_rows: int. Defaults to `100_000`.
    """
    check_positive_int("propose", "rows", num_rows)
    wanted = np.unique(np.linspace(0, table.num_rows - 1, min(num_rows, table.num_rows)).astype(np.int64))
    parts, first = [], 0
    for batch in table.to_batches():
        own = wanted[(wanted >= first) & (wanted < first + batch.num_rows)] - first
        parts.append(pa.table(plain_batch(batch).take(pa.array(own))))  # plain first: not all types can be taken
        first += batch.num_rows
    return Sample(pa.concat_tables(parts), table.num_rows, 0, 0)


def _read(path: str, num_rows: int, owner: str) -> tuple[pa.Table, float]:
    kind = kind_of(path)
    if kind == "parquet":
        return _read_parquet(path, num_rows)
    return _read_json_lines(path, num_rows) if kind == "jsonl" else _read_text(path, num_rows, owner)


# === Parquet ===


def _read_parquet(path: str, num_rows: int) -> tuple[pa.Table, int]:
    with parquet.ParquetFile(path) as file:
        groups = np.unique(np.linspace(0, file.num_row_groups - 1, _PARTS).round().astype(int)).tolist()
        if not groups or file.metadata.num_rows == 0:
            return file.schema_arrow.empty_table(), 0
        each = -(-num_rows // len(groups))
        parts = []
        for group in groups:
            stride = max(1, file.metadata.row_group(group).num_rows // each)
            first = 0
            for batch in file.iter_batches(row_groups=[group], batch_size=65_536):
                wanted = np.arange(-first % stride, batch.num_rows, stride)
                parts.append(pa.table(plain_batch(batch).take(pa.array(wanted))))
                first += batch.num_rows
        return pa.concat_tables(parts).slice(0, num_rows), file.metadata.num_rows


# === JSON lines ===


def _read_json_lines(path: str, num_rows: int) -> tuple[pa.Table, float]:
    blocks, num_bytes = _blocks(path)
    lines = b"".join(block if block.endswith(b"\n") else block + b"\n" for block in blocks)
    file = JsonLinesFile(path, lambda name: io.BytesIO(lines))
    names = file.header()
    tables = [
        pa.table({name: batch.rows.column(name) for name in names})
        for batch in file.batches(names)
        if batch.rows.num_rows
    ]
    return _evenly(tables, num_rows, len(lines), num_bytes)


# === CSV ===


def _read_text(path: str, num_rows: int, owner: str) -> tuple[pa.Table, float]:
    delimiter = "\t" if ".tsv" in os.path.basename(path).lower() else ","
    blocks, num_bytes = _blocks(path)
    header, rest = _first_line(blocks[0])
    if delimiter == "\t":  # marks are text there, as the job reads them
        names = header.decode().split("\t")
    else:
        names = next(text_csv.reader([header.decode()], delimiter=delimiter), [])
    _check_header(owner, path, names)
    tables = [_parse(block, names, delimiter) for block in (rest, *blocks[1:])]
    size = sum(len(block) for block in (rest, *blocks[1:]))
    return _evenly(tables, num_rows, size, num_bytes - len(header) - 1)


# === Blocks of lines ===


def _evenly(tables: Sequence[pa.Table], num_rows: int, size: int, num_bytes: int) -> tuple[pa.Table, float]:
    """Rows spread over what was read, and how many the file has, as told by its bytes where not all were read."""
    if not tables:
        return pa.table({}), 0.0
    table = pa.concat_tables(tables, promote_options="permissive")
    keep = np.unique(np.linspace(0, max(table.num_rows - 1, 0), min(num_rows, table.num_rows)).astype(np.int64))
    total = num_bytes * table.num_rows / size if table.num_rows and size < num_bytes else table.num_rows
    return table.take(pa.array(keep)), total


def _blocks(path: str) -> tuple[list[bytes], int]:
    """Blocks of whole lines from all over a file, and its size unpacked."""
    return _packed_blocks(path) if path.lower().endswith(".gz") else _plain_blocks(path)


def _plain_blocks(path: str) -> tuple[list[bytes], int]:
    """Blocks of whole lines, evenly spaced over the file, and the file's size."""
    size = os.path.getsize(path)
    blocks = []
    with open(path, "rb") as stream:
        if size <= _PARTS * _PART_BYTES:
            return [stream.read()], size
        for start in np.linspace(0, size - _PART_BYTES, _PARTS).astype(int).tolist():
            stream.seek(start)
            if start:
                stream.readline()
            blocks.append(_whole_lines(stream.read(_PART_BYTES)))
    return blocks, size


def _packed_blocks(path: str) -> tuple[list[bytes], int]:
    """The same of a gzip file: read on, twice as sparsely whenever there are twice too many blocks."""
    blocks: list[bytes] = []
    stride = 1
    with open(path, "rb") as raw, gzip.open(raw) as stream:
        for number in itertools.count():
            block = stream.read(_PART_BYTES)
            if number % stride == 0 and block:
                blocks.append(block)
            if len(blocks) > 2 * _PARTS:
                blocks, stride = blocks[::2], 2 * stride
            if len(block) < _PART_BYTES or stream.tell() >= _GZIP_BYTES:
                break
        num_bytes = stream.tell()
        if len(block) == _PART_BYTES:  # it goes on: as much as what is left is packed
            num_bytes = int(num_bytes * os.path.getsize(path) / raw.tell())
        elif stride == 1:
            return [b"".join(blocks)], num_bytes
    return [_whole_lines(blocks[0]), *(_whole_lines(block.partition(b"\n")[2]) for block in blocks[1:])], num_bytes


def _whole_lines(block: bytes) -> bytes:
    return block[: block.rfind(b"\n") + 1]


def _first_line(block: bytes) -> tuple[bytes, bytes]:
    line, _, rest = block.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    return line.rstrip(b"\r"), rest


def _check_header(owner: str, path: str, names: Sequence[str]) -> None:
    if not any(name.strip() for name in names):
        raise InputError(f"{owner}: file '{path}' is empty. A CSV file needs a header line.")
    numbers = [name for name in names if _is_number(name)]
    if numbers:
        raise InputError(
            f"{owner}: file '{path}' must begin with a header line. Received: {shown(list(names[:5]))}, where "
            f"{numbers[0]} is a number. Write the columns' names in front."
        )
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        raise InputError(f"{owner}: file '{path}' has more than one column of {twice}. Rename them.")


def _is_number(text: str) -> bool:
    with suppress(ValueError):
        float(text)
        return True
    return False


def _parse(block: bytes, names: Sequence[str], delimiter: str) -> pa.Table:
    """The rows of a block; one that begins inside a quoted text may lose some, which a sample can bear."""
    empty = pa.table({name: pa.array([], pa.string()) for name in names})
    if not block.strip():
        return empty
    options = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    quotes = delimiter != "\t"  # as the job reads them
    parse = csv.ParseOptions(
        delimiter=delimiter,
        quote_char='"' if quotes else False,
        newlines_in_values=quotes,
        invalid_row_handler=lambda row: "skip",
    )
    try:
        return csv.read_csv(
            io.BytesIO(block),
            read_options=csv.ReadOptions(column_names=list(names), use_threads=False),
            parse_options=parse,
            convert_options=options,
        )
    except pa.ArrowInvalid:
        latin = csv.ReadOptions(column_names=list(names), use_threads=False, encoding="latin-1")
        with suppress(pa.ArrowInvalid):
            return csv.read_csv(io.BytesIO(block), read_options=latin, parse_options=parse, convert_options=options)
        return empty
