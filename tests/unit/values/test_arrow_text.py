"""Every type in which Arrow stores values: one text for a value, one number, and what no type hides."""

import datetime
import decimal
import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmtl.schema.spelling import spelled
from tfmtl.values.arrow_text import count_inexact, flatten, to_numbers, to_text
from tfmtl.values.plain_arrow import plain, why_unreadable
from tfmtl.values.python_values import python_values

D = decimal.Decimal
_VIEWS = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["a", "b"], pa.string_view()))
_RUNS = pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"])
_DAY = datetime.datetime(2020, 1, 2)
_UUID = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")

# === Text ===


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1e10 + 1, 1e15, 1e22, -0.0, 7.0]), ["10000000001", "1000000000000000", "1" + "0" * 22, "0", "7"]),
        (pa.array([0.1, 1e-7, 12345678901.5, None, np.nan, np.inf]),
         ["0.1", "0.0000001", "12345678901.5", None, None, "inf"]),
        (pa.array(np.float32([0.1, 2**24, 1e10])), ["0.1", "16777216", "10000000000"]),
        (pa.array(np.float16([0.1, 2.0])), ["0.1", "2"]),
        *((pa.array([D("101"), None, D("0.1"), D(0)], kind), ["101", None, "0.1", "0"]) for kind in (
            pa.decimal32(5, 2), pa.decimal64(10, 2), pa.decimal128(20, 9), pa.decimal256(40, 3))),
        (pa.array([D(101000)], pa.decimal128(20, -3)), ["101000"]),
        (pa.array([D("-0.00"), D("1E-9")], pa.decimal128(20, 9)), ["0", "0.000000001"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array(["a", None, ""], pa.string_view()), ["a", None, None]),
        (pa.array([b"a", b"\xff"], pa.binary_view()), ["a", None]),
        (pa.array([_UUID, None]), [str(_UUID), None]),
        (_VIEWS[1:], ["b", None]),
        (pa.array([1.0, 2.5]).dictionary_encode(), ["1", "2.5"]),
        (_RUNS, ["a", "a", "b"]),
        (_RUNS[1:], ["a", "b"]),
        (pa.array([_DAY.date()]), ["2020-01-02"]),
        (pa.array([_DAY], pa.date64()), ["2020-01-02"]),
        (pa.array([_DAY.replace(microsecond=100_000)], pa.timestamp("ms")), ["2020-01-02 00:00:00.1"]),
        (pa.array([_DAY.replace(microsecond=100_000)], pa.timestamp("ns")), ["2020-01-02 00:00:00.1"]),
        (pa.array([_DAY], pa.timestamp("us", "UTC")), ["2020-01-02 00:00:00Z"]),
        (pa.array([datetime.time(10)], pa.time64("us")), ["10:00:00"]),
        (pa.array([90_500], pa.duration("ms")), ["90.5"]),
        (pa.array([True, None, False]), ["1", None, "0"]),
        (pa.nulls(1), [None]),
        (pa.array([["a"]]), [None]),
    ],
)  # fmt: skip
def test_text(column: pa.Array, expected: list[str | None]) -> None:
    assert to_text(column).to_pylist() == expected


@settings(max_examples=50, deadline=None, derandomize=True)
@given(values=st.lists(st.floats() | st.integers(-(2**70), 2**70).map(float), min_size=1, max_size=6))
def test_a_float_is_spelled_as_a_request_spells_it(values: list[float]) -> None:
    assert to_text(pa.array(values)).to_pylist() == [spelled(value) or None for value in values]
    assert all(float(text) == value for text, value in zip(map(spelled, values), values, strict=True) if text)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(number=st.integers(-(10**9), 10**9))
def test_a_whole_number_has_one_spelling(number: int) -> None:
    columns = [pa.array([number], pa.int64()), pa.array([float(number)]), pa.array([D(number)], pa.decimal128(20, 6))]
    assert {to_text(column)[0].as_py() for column in columns} | {spelled(number), spelled(float(number))} == {
        str(number)
    }


# === Numbers ===


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None], pa.uint8()), [1.0, None]),
        (pa.array([1.5, np.nan]), [1.5, None]),
        (pa.array([D("3.10")]), [3.1]),
        (pa.array([True, None]), [1.0, None]),
        (pa.array([1500], pa.duration("ms")), [1.5]),
        (pa.array([2.0]).dictionary_encode(), [2.0]),
    ],
)
def test_numbers(column: pa.Array, expected: list[float | None]) -> None:
    assert to_numbers(column).to_pylist() == expected


@pytest.mark.parametrize("column", [pa.array(["1"]), pa.array([_DAY]), pa.array([["1"]])])
def test_what_is_no_number(column: pa.Array) -> None:
    assert to_numbers(column) is None


def test_floats_that_may_have_merged() -> None:
    assert count_inexact(pa.array([2.0**53, 2.0**53 + 2, np.inf, None])) == 1
    assert count_inexact(pa.array(np.float32([2**24, 2**24 + 2, np.nan]))) == 1
    assert count_inexact(pa.array([2**60])) == 0


# === Types ===


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_view(pa.string()), pa.large_list_view(pa.string()),
        pa.list_(pa.string_view()), pa.list_(pa.string(), 2), pa.list_(pa.string_view(), 2),
        pa.list_(pa.dictionary(pa.int8(), pa.string())),
    ],
)  # fmt: skip
def test_lists_of_every_kind(kind: pa.DataType) -> None:
    rows = [["a", "b"], None, ["c", None]]
    column = pa.array(rows, kind)
    for whole, expected in ((column, rows), (column[1:], rows[1:])):
        lists = plain(whole)
        assert (lists.type.value_type, lists.to_pylist()) == (pa.string(), expected)
        items, parents = flatten(lists)
        pairs = list(zip(parents.tolist(), items.to_pylist(), strict=True))
        assert pairs == [(row, item) for row, values in enumerate(expected) for item in values or []]
        assert python_values(whole) == expected


@pytest.mark.parametrize(
    "kind", [pa.struct([("a", pa.int64())]), pa.list_(pa.list_(pa.int8())), pa.month_day_nano_interval()]
)
def test_types_that_hold_nothing_readable(kind: pa.DataType) -> None:
    assert why_unreadable(kind) == (
        f"is of type {kind}, which cannot be read: write it as text, a number, a time or a list of these"
    )


def test_types_that_can_be_read() -> None:
    kinds: list[Any] = [
        _VIEWS.type,
        _RUNS.type,
        pa.list_(_VIEWS.type),
        pa.null(),
        pa.decimal256(40, 3),
        pa.duration("s"),
    ]
    assert [why_unreadable(kind) for kind in kinds] == [None] * len(kinds)


def test_python_values() -> None:
    assert python_values(pa.chunked_array([[1, 2], [3]])).tolist() == [1, 2, 3]
    assert python_values(pa.array([D("2.00"), D("2.50"), None])) == [2, 2.5, None]
    assert python_values(pa.array([1, None])) == [1, None]
    assert python_values(pa.array([_UUID, None])) == [str(_UUID), None]
