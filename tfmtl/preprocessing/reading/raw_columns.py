"""Raw columns of one batch, parsed on demand and once."""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing.reading.rejections import Rejections

_NO_TEXT = pa.scalar(None, pa.string())
_NO_NUMBER = pa.scalar(None, pa.float64())


class RawColumns:
    """Reads the columns of a raw batch as text, numbers, times or lists.

    A value that cannot be read so becomes null and its row is rejected. Text
    is null where it is missing or empty, a number where it is missing or NaN.
    What becomes of a value depends on nothing but the value.

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
        return self._strings(name, self._batch.column(name), np.arange(self._batch.num_rows))

    def _number(self, name: str) -> pa.Array:
        """The column as float64."""
        column = self._batch.column(name)
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.int8())
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            numbers = pc.cast(column, pa.float64(), safe=False)  # unsafe means rounded, beyond 2**53
        else:
            numbers = self._parse_numbers(name, self.text(name))
        return pc.if_else(pc.is_nan(numbers), _NO_NUMBER, numbers)

    def time(self, name: str, ticks_per_second: int) -> pa.Array:
        """The column as int64 ticks; a fraction of a tick is cut off, timestamps are converted."""
        column = self._batch.column(name)
        if pa.types.is_timestamp(column.type):
            unit = "s" if ticks_per_second == 1 else "ms"
            times = pc.cast(pc.cast(column, pa.timestamp(unit, column.type.tz), safe=False), pa.int64())
        elif pa.types.is_integer(column.type) and column.type != pa.uint64():
            times = pc.cast(column, pa.int64())
        else:
            times = self._parse_times(name, self.text(name))
        self._rejections.add(pc.is_null(times), f"column '{name}' (the time) is missing")
        return pc.fill_null(times, 0)

    def lists(self, name: str, separator: str, max_values: int) -> pa.Array:
        """A multi-valued column, lists or joined text, as lists of its first present values."""
        column = self._batch.column(name)
        kind = column.type
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        if not is_list:
            column = pc.split_pattern(self.text(name), separator)
        rows = pc.list_parent_indices(column).to_numpy()
        values = self._strings(name, pc.list_flatten(column), rows)
        present = pc.is_valid(values)
        rows, values = rows[present.to_numpy(zero_copy_only=False)], values.filter(present)
        starts = np.searchsorted(rows, np.arange(len(column)))
        kept = np.arange(len(rows)) - starts[rows] < max_values
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=len(column)))])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values.filter(pa.array(kept)))

    def reject(self, where: pa.Array, reason: str, values: pa.Array) -> None:
        """Rejects rows for a value that was readable and is wrong; null in `where` is no fault."""
        self._rejections.add(pc.fill_null(where, False), reason, values)

    # === Values ===

    def _strings(self, name: str, column: pa.Array, rows: np.ndarray) -> pa.Array:
        """`column` as strings; `rows` says to which row each value belongs."""
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_nested(column.type):
            reason = f"column '{name}' holds a list or a record where one value is expected"
            self._reject(rows, pc.is_valid(column), reason)
            return pa.nulls(len(column), pa.string())
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.int8())
        if pa.types.is_string(column.type):
            column = column.cast(pa.binary())  # costs nothing; the cast back checks that it is UTF-8
        strings = _cast(column, pa.string())
        self._reject(rows, _is_lost(column, strings), f"column '{name}' is not UTF-8 text")
        return pc.if_else(pc.equal(strings, ""), _NO_TEXT, strings)

    def _parse_numbers(self, name: str, text: pa.Array) -> pa.Array:
        numbers = _cast(pc.utf8_trim_whitespace(text), pa.float64())
        self._rejections.add(_is_lost(text, numbers), f"column '{name}' is not a number", text)
        return numbers

    def _parse_times(self, name: str, text: pa.Array) -> pa.Array:
        """As integers first: float64 holds them only up to 2**53."""
        times = _cast(pc.utf8_trim_whitespace(text), pa.int64())
        numbers = self._parse_numbers(name, pc.if_else(pc.is_valid(times), _NO_TEXT, text))
        beyond = pc.fill_null(pc.greater_equal(pc.abs(numbers), 2.0**63), False)
        self._rejections.add(beyond, f"column '{name}' (the time) is out of range", text)
        known = pc.invert(pc.or_(beyond, pc.fill_null(pc.is_nan(numbers), False)))
        return pc.coalesce(times, pc.cast(pc.floor(pc.if_else(known, numbers, _NO_NUMBER)), pa.int64()))

    def _reject(self, rows: np.ndarray, where: pa.Array, reason: str) -> None:
        is_bad = np.zeros(self._batch.num_rows, bool)
        is_bad[rows[where.to_numpy(zero_copy_only=False)]] = True
        self._rejections.add(is_bad, reason)


def _cast(values: pa.Array, to: pa.DataType) -> pa.Array:
    """`values` as another type, null where a value cannot be read so."""
    try:
        return pc.cast(values, to)
    except pa.ArrowInvalid:  # Some value cannot; only now look for it one by one.
        coded = values.dictionary_encode()
        return pa.array([_cast_one(value, to) for value in coded.dictionary], to).take(coded.indices)


def _cast_one(value: pa.Scalar, to: pa.DataType) -> pa.Scalar:
    try:
        return value.cast(to)
    except pa.ArrowInvalid:
        return pa.scalar(None, to)


def _is_lost(values: pa.Array, converted: pa.Array) -> pa.Array:
    return pc.and_(pc.is_valid(values), pc.is_null(converted))
