"""The columns of a raw batch, each parsed once, on demand."""

import contextlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing.reading.noticed import Noticed
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.preprocessing.reading.times import from_iso, from_temporal, has_zone, is_iso
from tfmtl.preprocessing.reading.vector_columns import read_vectors
from tfmtl.preprocessing.reading.written_list import read_list
from tfmtl.schema.keys import Keys
from tfmtl.schema.reserved import LIKELY_MISSING
from tfmtl.values.arrow_text import cast_or_null, count_inexact, flatten, to_numbers, to_text
from tfmtl.values.plain_arrow import is_coded, is_list, is_text, plain
from tfmtl.values.spelling_forms import spelling_forms

_LIKELY_MISSING = pa.array(LIKELY_MISSING, pa.string())
_FREQUENT = 3  # texts of a label that are counted a batch
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
        missing: column -> texts that mean missing in it.
        bad_vectors: where rows go whose vector is none. Defaults to `None`: where other unreadable ones go.
    """

    def __init__(
        self,
        batch: pa.RecordBatch,
        rejections: Rejections,
        noticed: Noticed | None = None,
        missing: Mapping[str, Sequence[str]] | None = None,
        bad_vectors: Rejections | None = None,
    ) -> None:
        self._batch = batch
        self._rejections = rejections
        self._bad_vectors = bad_vectors or rejections
        self._noticed = noticed or Noticed()
        self._missing = {name: pa.array(texts, pa.string()) for name, texts in (missing or {}).items()}
        self._column = cache(self._plain)
        self.text = cache(self._text)
        self.number = cache(self._number)

    def _plain(self, name: str) -> pa.Array:
        """The column in one of few types, null where its text means missing."""
        column = plain(self._batch.column(name))
        if name not in self._missing or pa.types.is_nested(column.type):
            return column
        is_missing = pc.is_in(to_text(column), self._missing[name])
        return pc.if_else(is_missing, pa.scalar(None, column.type), column)

    def _text(self, name: str) -> pa.Array:
        """The column as strings; where a dictionary holds them, each is looked at once."""
        stored = self._batch.column(name)
        if is_coded(stored.type) and is_text(stored.type.value_type) and name not in self._missing:
            strings = to_text(stored)
            if strings.null_count == stored.null_count:  # else some are empty, or no text
                return strings
        return self._strings(name, self._column(name), np.arange(self._batch.num_rows))

    def _number(self, name: str) -> pa.Array:
        """The column as float64."""
        numbers = to_numbers(self._column(name))
        if numbers is not None:
            return numbers
        numbers = self._parse_numbers(name, self.text(name))
        return pc.if_else(pc.is_nan(numbers), _NO_NUMBER, numbers)

    def time(self, name: str, keys: Keys) -> pa.Array:
        """The column as int64 ticks of `keys`; a fraction of a tick is cut off, dates, timestamps and ISO text too."""
        times = self.times(name, keys)
        self._rejections.add(pc.is_null(times), f"column '{name}' (the time) is missing")
        return pc.fill_null(times, 0)

    def times(self, name: str, keys: Keys) -> pa.Array:
        """The same, null where it is missing."""
        column = self._column(name)
        step = keys.ticks_per_step
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            return from_temporal(column, keys)
        if pa.types.is_integer(column.type) and column.type != pa.uint64() and step == 1:
            return pc.cast(column, pa.int64())
        return self._parse_times(name, self.text(name), keys)

    def lists(self, name: str, separator: str, max_values: int, form: str = "text") -> pa.Array:
        """A multi-valued column as lists of its first present values.

        Args:
            name: str.
            separator: str. What joins the values in text of the form `"text"`; blanks beside it are none of them.
            max_values: int.
            form: `"text"` or `"json"`, where the column is text and not lists.
        """
        values, rows = self._items(name, separator, form)
        values = self._strings(name, values, rows)
        present = pc.is_valid(values)
        if name in self._missing:
            present = pc.and_(present, pc.invert(pc.is_in(values, self._missing[name])))
        rows, values = rows[present.to_numpy(zero_copy_only=False)], values.filter(present)
        starts = np.searchsorted(rows, np.arange(self._batch.num_rows))
        kept = np.arange(len(rows)) - starts[rows] < max_values
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=self._batch.num_rows))])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values.filter(pa.array(kept)))

    def vectors(self, name: str, size: int, separator: str, has_gaps: bool = False, channels: int = 1) -> pa.Array:
        """A column of lists of numbers, or of joined ones, as lists of `size` float32, null where missing.

        With `has_gaps` single numbers may be missing, which are NaN then, and there may be lists of `channels` numbers.
        """
        return read_vectors(name, self._column(name), size, separator, self._bad_vectors, has_gaps, channels)

    def binary(self, name: str) -> pa.Array:
        """The column as bytes, whatever they hold, null where it is missing or empty."""
        column = self._column(name)
        if not is_text(column.type):
            self._rejections.add(pc.is_valid(column), f"column '{name}' holds neither bytes nor text")
            return pa.nulls(self._batch.num_rows, pa.binary())
        values = pc.cast(column, pa.binary())
        return pc.if_else(pc.equal(pc.binary_length(values), 0), pa.scalar(None, pa.binary()), values)

    @property
    def has_good_vectors(self) -> np.ndarray[Any, Any]:
        """Bool `(rows,)`: where no vector that was read so far is bad."""
        return self._bad_vectors.kept

    def items(
        self, name: str, separator: str, form: str, read_as: str | None = None
    ) -> tuple["RawColumns", np.ndarray]:
        """All items of a column of lists, missing ones too, as the rows of a batch of their own; and the row of each.

        An item that cannot be read rejects the row that it belongs to; a bad vector is only told of, by
        `has_good_vectors` of the items.

        Args:
            name: str.
            separator: as of `lists`.
            form: as of `lists`.
            read_as: str or None. The column that the items are called there. Defaults to `None`: the same.
        """
        values, rows = self._items(name, separator, form)
        column = read_as or name
        texts = self._missing.get(column)
        return RawColumns(
            pa.RecordBatch.from_arrays([values], names=[column]),
            self._rejections.of_items(rows, column, name),
            missing={} if texts is None else {column: texts.to_pylist()},
            bad_vectors=Rejections(len(values)),
        ), rows

    def _items(self, name: str, separator: str, form: str) -> tuple[pa.Array, np.ndarray]:
        """The items of all lists one after another, and the row of each."""
        column = self._column(name)
        if is_list(column.type):
            return flatten(column)
        if form == "json":
            return self._written_lists(name)
        values, rows = flatten(pc.split_pattern(self.text(name), separator))
        self._notice_joined(name, len(values))
        return pc.utf8_trim_whitespace(values) if separator.strip() else values, rows

    def reject(self, where: pa.Array, reason: str, values: pa.Array | None = None) -> None:
        """Rejects rows for a value that was readable and is wrong; null in `where` is no fault."""
        self._rejections.add(pc.fill_null(where, False), reason, values)

    def notice_texts(self, what: str, name: str) -> None:
        """Counts the most frequent texts of a column."""
        counted = pc.value_counts(self.text(name).drop_null())
        frequent = np.argsort(counted.field("counts").to_numpy())[::-1][:_FREQUENT]
        for pair in counted.take(pa.array(frequent)).to_pylist():
            self._noticed.add(what, pair["values"], pair["counts"])

    def notice_spellings(self, name: str, texts: pa.Array) -> None:
        """Counts the forms of a column's texts; see `spelling_forms`."""
        for form, count in spelling_forms(texts).items():
            self._noticed.add(f"spelling/{name}", form, count)

    def _written_lists(self, name: str) -> tuple[pa.Array, np.ndarray]:
        """The items of lists that are written as text, each distinct text read once, and their rows."""
        coded = self.text(name).dictionary_encode()
        lists = [read_list(text) for text in coded.dictionary.to_pylist()]
        codes = pc.fill_null(coded.indices, len(lists)).to_numpy()
        unread = np.array([items is None for items in lists] + [False])[codes]
        self._rejections.add(unread, f"column '{name}' is not a list of single values", self.text(name))
        items = pa.array([items or [] for items in lists] + [[]], pa.list_(pa.string()))
        return flatten(items.take(pa.array(codes)))

    def _notice_joined(self, name: str, num_values: int) -> None:
        text = self.text(name)
        num_present = len(text) - text.null_count
        looks_like_list = pc.and_(pc.starts_with(text, "["), pc.ends_with(text, "]"))
        self._noticed.add("present", name, num_present)
        self._noticed.add("joined", name, num_values - num_present)
        self._noticed.add("list_text", name, pc.sum(looks_like_list).as_py() or 0)

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
        if numbers.null_count == text.null_count:
            return numbers
        lost = _is_lost(text, numbers)
        self._noticed.add("missing_text", name, pc.sum(pc.and_(lost, pc.is_in(text, _LIKELY_MISSING))).as_py() or 0)
        self._rejections.add(lost, f"column '{name}' is not a number", text)
        return numbers

    def _parse_times(self, name: str, text: pa.Array, keys: Keys) -> pa.Array:
        """As integers first: float64 holds them only up to 2**53."""
        step = keys.ticks_per_step
        if step == 1:
            with contextlib.suppress(pa.ArrowInvalid):  # nearly always there are no other forms to look for
                return pc.cast(pc.utf8_trim_whitespace(text), pa.int64())
        iso = is_iso(text)
        dated = None
        if pc.any(iso).as_py():
            written = pc.if_else(iso, text, _NO_TEXT)
            dated = from_iso(written, keys)
            self._rejections.add(_is_lost(written, dated), f"column '{name}' is not a time", text)
            zoned = pc.sum(has_zone(written)).as_py() or 0
            self._noticed.add("zoned", name, zoned)
            self._noticed.add("zoneless", name, (pc.sum(iso).as_py() or 0) - zoned)
            text = pc.if_else(iso, _NO_TEXT, text)
        times = cast_or_null(pc.utf8_trim_whitespace(text), pa.int64())
        numbers = self._parse_numbers(name, pc.if_else(pc.is_valid(times), _NO_TEXT, text))
        beyond = pc.fill_null(pc.greater_equal(pc.abs(numbers), 2.0**63), False)
        if step > 1:
            too_many = pc.greater_equal(pc.abs(pc.cast(times, pa.float64(), safe=False)), 2.0**63 / step)
            beyond = pc.or_(beyond, pc.fill_null(too_many, False))
            times = pc.multiply(pc.if_else(beyond, pa.scalar(None, pa.int64()), times), step)
            numbers = pc.multiply(pc.floor(numbers), float(step))
        self._rejections.add(beyond, f"column '{name}' (the time) is out of range", text)
        known = pc.invert(pc.or_(beyond, pc.fill_null(pc.is_nan(numbers), False)))
        times = pc.coalesce(times, pc.cast(pc.floor(pc.if_else(known, numbers, _NO_NUMBER)), pa.int64()))
        return times if dated is None else pc.coalesce(dated, times)

    def _reject(self, rows: np.ndarray, where: pa.Array, reason: str) -> None:
        is_bad = np.zeros(self._batch.num_rows, bool)
        is_bad[rows[where.to_numpy(zero_copy_only=False)]] = True
        self._rejections.add(is_bad, reason)


def _is_lost(values: pa.Array, converted: pa.Array) -> pa.Array:
    return pc.and_(pc.is_valid(values), pc.is_null(converted))
