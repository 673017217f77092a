"""Read CSV and TSV files as Arrow batches, without losing a line."""

import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.reading.line_stream import END, LONG, LineStream
from tfmtl.preprocessing.reading.raw_batch import LINES, QUOTED, SPANNING, RawBatch
from tfmtl.schema import Dialect

CSV_BLOCK_BYTES = 4 << 20
_PASSED_BYTES = 1 << 17  # what is looked at on the way stays in the processor's cache
_FEW_DELIMITERS = 3  # which a value of several lines may hold by chance, just as rows would
_BREAKS = re.compile(r"[\r\n]+")

Open = Callable[[str], AbstractContextManager[Any]]


class TextFile:
    """One text file of a log.

    Args:
        path: str.
        is_tsv: bool.
        dialect: `Dialect`.
        open_file: gives the unpacked bytes of a path.
    """

    def __init__(self, path: str, is_tsv: bool, dialect: Dialect, open_file: Open) -> None:
        self._path = path
        self._open = open_file
        self._is_sure = dialect.quote is not None
        self._quotes = dialect.quote == "double" or (dialect.quote is None and not is_tsv)
        self._delimiter = dialect.delimiter or ("\t" if is_tsv else ",")

    def header(self) -> list[str]:
        """The columns' names.

        Raises:
            InputError: the first line is empty or has no end.
        """
        with self._open(self._path) as stream:
            line = stream.readline(CSV_BLOCK_BYTES + 1)
        if not line.strip():
            raise InputError(f"preprocess: file '{self._path}' is empty. A CSV file needs a header line.")
        if len(line) > CSV_BLOCK_BYTES:
            raise InputError(
                f"preprocess: file '{self._path}' must begin with a header line of at most {CSV_BLOCK_BYTES:,} bytes. "
                "Its first line is longer. Is it a text file with line breaks?"
            )
        table = csv.read_csv(pa.BufferReader(line + b"\n"), parse_options=self._parse_options([]))
        return list(table.column_names)

    def batches(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """The rows of the file, in its order; columns come as binary, nothing guessed.

        Raises:
            InputError: the file ends in a quoted value, quoted values seem to hold rows, or its lines do not add up.
        """
        with self._open(self._path) as stream:
            lines = LineStream(stream, CSV_BLOCK_BYTES // 2, _PASSED_BYTES)
            first_row, has_end = 0, False
            rows_before: list[int] = []  # each unreadable line: how many readable ones lie before it
            for batch, invalid in self._parse(lines, columns):
                has_end = has_end or any(row.text == END for row in invalid)
                unreadable = [(row.number - 2, _reason(row)) for row in invalid if row.text != END]  # the header is 1
                rows_before += [number - len(rows_before) - i for i, (number, _) in enumerate(unreadable)]
                numbers = np.arange(first_row, first_row + batch.num_rows)
                numbers += np.searchsorted(rows_before, numbers, side="right")
                first_row += batch.num_rows
                quoted = _count_quoted(batch) if lines.has_marks and not self._quotes else 0
                if batch.num_rows or unreadable:
                    yield RawBatch(numbers, batch, unreadable, {QUOTED: quoted} if quoted else {})
        if not has_end:
            raise InputError(
                f"preprocess: file '{self._path}' ends inside a quoted value, so the rows after the last opening "
                "quotation mark cannot be told apart. Close it, or double the marks that belong to the text; where "
                "marks are nothing but text, set `dialect: {quote: none}`. Nothing was kept."
            )
        if lines.has_cut_quotes and self._quotes:
            raise InputError(
                f"preprocess: file '{self._path}' has a line of more than {CSV_BLOCK_BYTES // 2:,} bytes in which a "
                "quotation mark is opened and not closed. Close it, or set `dialect: {quote: none}`. Nothing was kept."
            )
        num_rows = first_row + len(rows_before)
        inside = lines.lines - 1 - num_rows
        spanning = self._look_inside() if inside else (0, 0)
        if spanning[1] != inside:
            raise InputError(
                f"preprocess: file '{self._path}' has {lines.lines - 1:,} lines below its header, but {num_rows:,} "
                f"rows and {spanning[1]:,} further lines inside quoted values were read. Nothing was kept."
            )
        empty = pa.RecordBatch.from_arrays([pa.array([], pa.binary()) for _ in columns], names=list(columns))
        counts = {LINES: lines.lines - 1 - inside} | ({SPANNING: spanning[0]} if spanning[0] else {})
        yield RawBatch(np.empty(0, np.int64), empty, (), counts)

    # === Lines inside values ===

    def _look_inside(self) -> tuple[int, int]:
        """Values that go over several lines, and line breaks in them: of every column, in a second look at the file.

        Raises:
            InputError: a value looks as if it had swallowed rows.
        """
        values = breaks = 0
        names = self.header()
        first_row = 0
        with self._open(self._path) as stream:
            lines = LineStream(stream, CSV_BLOCK_BYTES // 2, _PASSED_BYTES)
            for batch, invalid in self._parse(lines, None):
                for column, texts in enumerate(batch.columns):
                    found = pc.count_substring_regex(texts, "[\r\n]+").fill_null(0).to_numpy()
                    rows = np.flatnonzero(found)
                    values, breaks = values + len(rows), breaks + int(found.sum())
                    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
                        self._check_value(text, column, names, first_row + row)
                breaks += sum(len(_BREAKS.findall(row.text)) for row in invalid if row.text != END)
                first_row += batch.num_rows
        return values, breaks

    def _check_value(self, text: bytes, column: int, names: Sequence[str], row: int) -> None:
        """Two stray marks make one value of the end of a row, whole rows, and the beginning of the last one's."""
        lines = re.split(rb"[\r\n]+", text)
        delimiter = self._delimiter.encode()
        behind = len(names) - 1 - column
        as_rows = [behind, *[len(names) - 1] * (len(lines) - 2), column]
        found = [line.count(delimiter) for line in lines]
        cut = any(line.startswith(LONG.encode()) for line in lines)
        if not cut and (self._is_sure or sum(found) < _FEW_DELIMITERS or found != as_rows):
            return
        raise InputError(
            f"preprocess: file '{self._path}': the value in column '{names[column]}' of row {row}, "
            f"{lines[0][:40].decode(errors='replace')!r}, begins with a quotation mark and goes over {len(lines)} "
            "lines, which look like rows of their own. Double the mark, or set `dialect: {quote: none}` where marks "
            "are text, or `quote: double` where the value is meant so. Nothing was kept."
        )

    # === Arrow ===

    def _parse(
        self, lines: LineStream, columns: Sequence[str] | None
    ) -> Iterator[tuple[pa.RecordBatch, list[csv.InvalidRow]]]:
        """Batches, each with the unreadable rows met since the one before; all columns for `None`."""
        invalid: list[csv.InvalidRow] = []
        names = self.header() if columns is None else list(columns)
        reader = csv.open_csv(
            io.BufferedReader(lines),
            read_options=csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK_BYTES),
            parse_options=self._parse_options(invalid),
            convert_options=csv.ConvertOptions(
                include_columns=[] if columns is None else names,
                column_types={column: pa.binary() for column in names},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
        empty = pa.RecordBatch.from_arrays([pa.array([], pa.binary()) for _ in names], names=names)
        for batch in itertools.chain(reader, [empty]):
            yield batch, list(invalid)
            invalid.clear()

    def _parse_options(self, invalid: list[csv.InvalidRow]) -> csv.ParseOptions:
        def on_invalid(row: csv.InvalidRow) -> str:
            invalid.append(row)
            return "skip"

        return csv.ParseOptions(
            delimiter=self._delimiter,
            quote_char='"' if self._quotes else False,
            newlines_in_values=self._quotes,
            invalid_row_handler=on_invalid,
        )


def _reason(row: csv.InvalidRow) -> str:
    if row.text.startswith(LONG):
        return f"is longer than {CSV_BLOCK_BYTES // 2:,} bytes: {int(row.text.removeprefix(LONG)):,}"
    return f"has {row.actual_columns} columns where the header has {row.expected_columns}: {row.text}"


def _count_quoted(batch: pa.RecordBatch) -> int:
    """Values that begin and end with a quotation mark."""
    count = 0
    for column in batch.columns:
        both = pc.and_(pc.starts_with(column, '"'), pc.ends_with(column, '"'))
        count += int(pc.sum(pc.and_(both, pc.greater(pc.binary_length(column), 1))).as_py() or 0)
    return count
