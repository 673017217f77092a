"""Raw columns of one batch, parsed on demand and once."""

from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.preprocess.rejections import Rejections

_NO_TEXT = pa.scalar(None, pa.string())
_NO_NUMBER = pa.scalar(None, pa.float64())


class RawColumns:
    """Reads the columns of a raw batch as text, numbers, times or lists.

    A value that cannot be read so becomes null and its row is rejected. Text
    is null where it is missing or empty, a number where it is missing or NaN.

    Args:
        batch: the raw batch.
        rejections: where unreadable rows go.
    """

    def __init__(self, batch: pa.RecordBatch, rejections: Rejections) -> None:
        self._batch = batch
        self._rejections = rejections
        self.text = cache(self._text)
        self.number = cache(self._number)

    def _text(self, name: str) -> pa.Array:
        """The column as strings."""
        column = self._batch.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_nested(column.type):
            self._rejections.add(pc.is_valid(column), f"column '{name}' holds a list where one value is expected")
            return pa.nulls(len(column), pa.string())
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.int8())
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            column = self._decode(name, column)
        column = pc.cast(column, pa.string())
        return pc.if_else(pc.equal(column, ""), _NO_TEXT, column)

    def _decode(self, name: str, column: pa.Array) -> pa.Array:
        try:
            return pc.cast(column, pa.string())
        except pa.ArrowInvalid:  # Some value is not UTF-8; only now look for it one by one.
            values = [_decode(value) for value in column.to_pylist()]
            undecodable = [value is _UNDECODABLE for value in values]
            self._rejections.add(undecodable, f"column '{name}' is not UTF-8 text")
            return pa.array([None if value is _UNDECODABLE else value for value in values], pa.string())

    def _number(self, name: str) -> pa.Array:
        """The column as float64."""
        column = self._batch.column(name)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type):
            numbers = pc.cast(pc.cast(column, pa.int8()) if pa.types.is_boolean(column.type) else column, pa.float64())
        else:
            text = self.text(name)
            try:
                numbers = pc.cast(pc.utf8_trim_whitespace(text), pa.float64())
            except pa.ArrowInvalid:
                values = [_parse(value) for value in text.to_pylist()]
                numbers = pa.array(values, pa.float64())
                unreadable = pc.and_(pc.is_valid(text), pc.is_null(numbers))
                self._rejections.add(unreadable, f"column '{name}' is not a number", text)
        return pc.if_else(pc.is_nan(numbers), _NO_NUMBER, numbers)

    def time(self, name: str, ticks_per_second: int) -> pa.Array:
        """The column as int64 ticks; a fraction of a tick is cut off, timestamps are converted."""
        column = self._batch.column(name)
        if pa.types.is_timestamp(column.type):
            unit = "s" if ticks_per_second == 1 else "ms"
            times = pc.cast(pc.cast(column, pa.timestamp(unit, column.type.tz), safe=False), pa.int64())
        elif pa.types.is_integer(column.type):
            times = pc.cast(column, pa.int64())
        else:
            times = self._time_from_text(name)
        self._rejections.add(pc.is_null(times), f"column '{name}' (the time) is missing")
        return pc.fill_null(times, 0)

    def _time_from_text(self, name: str) -> pa.Array:
        try:  # As integers first: float64 holds them only up to 2**53.
            return pc.cast(pc.utf8_trim_whitespace(self.text(name)), pa.int64())
        except pa.ArrowInvalid:
            numbers = self.number(name)
            beyond = pc.fill_null(pc.greater_equal(pc.abs(numbers), 2.0**63), False)
            self._rejections.add(beyond, f"column '{name}' (the time) is out of range", numbers)
            return pc.cast(pc.floor(pc.if_else(beyond, 0.0, numbers)), pa.int64())

    def lists(self, name: str, separator: str, max_values: int) -> pa.Array:
        """A multi-valued column, lists or joined text, as lists of its first present values."""
        column = self._batch.column(name)
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            rows = [None if row is None else [str(v) for v in row if v is not None] for row in column.to_pylist()]
        else:
            rows = [None if row is None else row.split(separator) for row in self.text(name).to_pylist()]
        kept = [None if row is None else [value for value in row if value][:max_values] for row in rows]
        return pa.array(kept, pa.list_(pa.string()))


_UNDECODABLE: Any = object()


def _decode(value: bytes | None) -> Any:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return _UNDECODABLE


def _parse(text: str | None) -> float | None:
    try:
        return None if text is None or "_" in text else float(text)
    except ValueError:
        return None
