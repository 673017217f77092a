"""Raw columns of one batch, parsed on demand and once."""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing.reading.noticed import Noticed
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.values.arrow_text import cast_or_null, count_inexact, flatten, to_numbers, to_text
from tfmtl.values.plain_arrow import is_list, is_text, plain

_NO_TEXT = pa.scalar(None, pa.string())
_NO_NUMBER = pa.scalar(None, pa.float64())


class RawColumns:
    """Reads the columns of a raw batch as text, numbers, times or lists.

    A value that cannot be read so becomes null and its row is rejected. Text
    is null where it is missing or empty, a number where it is missing or NaN.
    What becomes of a value depends on nothing but the value: the type that
    stores it is looked through in `tfmtl.values`.

    Args:
        batch: the raw batch.
        rejections: where unreadable rows go.
        noticed: where readable values that are hardly meant so are counted.
    """

    def __init__(self, batch: pa.RecordBatch, rejections: Rejections, noticed: Noticed | None = None) -> None:
        self._batch = batch
        self._rejections = rejections
        self._noticed = noticed or Noticed()
        self._column = cache(lambda name: plain(batch.column(name)))
        self.text = cache(self._text)
        self.number = cache(self._number)

    def _text(self, name: str) -> pa.Array:
        """The column as strings."""
        return self._strings(name, self._column(name), np.arange(self._batch.num_rows))

    def _number(self, name: str) -> pa.Array:
        """The column as float64."""
        numbers = to_numbers(self._column(name))
        if numbers is not None:
            return numbers
        numbers = self._parse_numbers(name, self.text(name))
        return pc.if_else(pc.is_nan(numbers), _NO_NUMBER, numbers)

    def time(self, name: str, ticks_per_second: int) -> pa.Array:
        """The column as int64 ticks; a fraction of a tick is cut off, timestamps are converted."""
        column = self._column(name)
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
        column = self._column(name)
        if not is_list(column.type):
            column = pc.split_pattern(self.text(name), separator)
        values, rows = flatten(column)
        values = self._strings(name, values, rows)
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

    def _strings(self, name: str, values: pa.Array, rows: np.ndarray) -> pa.Array:
        """`values` as strings; `rows` says to which row each value belongs."""
        if pa.types.is_nested(values.type):
            reason = f"column '{name}' holds a list or a record where one value is expected"
            self._reject(rows, pc.is_valid(values), reason)
            return pa.nulls(len(values), pa.string())
        self._noticed.add("inexact", name, count_inexact(values))
        strings = to_text(values)
        if is_text(values.type) and strings.null_count > values.null_count:
            lost = pc.and_(pc.greater(pc.binary_length(values), 0), pc.is_null(strings))
            self._reject(rows, pc.fill_null(lost, False), f"column '{name}' is not UTF-8 text")
        return strings

    def _parse_numbers(self, name: str, text: pa.Array) -> pa.Array:
        numbers = cast_or_null(pc.utf8_trim_whitespace(text), pa.float64())
        self._rejections.add(_is_lost(text, numbers), f"column '{name}' is not a number", text)
        return numbers

    def _parse_times(self, name: str, text: pa.Array) -> pa.Array:
        """As integers first: float64 holds them only up to 2**53."""
        times = cast_or_null(pc.utf8_trim_whitespace(text), pa.int64())
        numbers = self._parse_numbers(name, pc.if_else(pc.is_valid(times), _NO_TEXT, text))
        beyond = pc.fill_null(pc.greater_equal(pc.abs(numbers), 2.0**63), False)
        self._rejections.add(beyond, f"column '{name}' (the time) is out of range", text)
        known = pc.invert(pc.or_(beyond, pc.fill_null(pc.is_nan(numbers), False)))
        return pc.coalesce(times, pc.cast(pc.floor(pc.if_else(known, numbers, _NO_NUMBER)), pa.int64()))

    def _reject(self, rows: np.ndarray, where: pa.Array, reason: str) -> None:
        is_bad = np.zeros(self._batch.num_rows, bool)
        is_bad[rows[where.to_numpy(zero_copy_only=False)]] = True
        self._rejections.add(is_bad, reason)


def _is_lost(values: pa.Array, converted: pa.Array) -> pa.Array:
    return pc.and_(pc.is_valid(values), pc.is_null(converted))
