"""Raw values of every type to canonical columns, and a reason for every row that cannot be read."""

import datetime
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmtl.preprocessing import columns
from tfmtl.preprocessing.reading.canonical import canonicalize
from tfmtl.preprocessing.reading.raw_columns import RawColumns
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Keys,
    NumericFeature,
    Problem,
    RegressionTask,
    SequenceFeature,
    Split,
)

B = pa.binary()
SECONDS = Keys("u", "c")


def _read(column: pa.Array, what: str, *arguments: Any) -> tuple[list[Any], dict[int, str]]:
    """A column read as text, number, time or lists, and the rows that were rejected."""
    rejections = Rejections(len(column))
    raw = RawColumns(pa.RecordBatch.from_arrays([column], ["c"]), rejections)
    return getattr(raw, what)(*("c", *arguments)).to_pylist(), dict(rejections.reasons)


# === Types ===


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([b"a", b"", None, "é\x85".encode()], B), ["a", None, None, "é\x85"]),
        (pa.array(["a", "", None], pa.string()), ["a", None, None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array([b"a", None], pa.large_binary()), ["a", None]),
        (pa.array([b"ab"], pa.binary(2)), ["ab"]),
        (pa.array([7, None, -1], pa.int32()), ["7", None, "-1"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([2.5, None]), ["2.5", None]),
        (pa.array([True, False, None]), ["1", "0", None]),
        (pa.array([decimal.Decimal("3.10"), decimal.Decimal("7.00")]), ["3.1", "7"]),
        (pa.array([1e10 + 1, 7.0, None, np.nan]), ["10000000001", "7", None, None]),
        (pa.array([datetime.date(2020, 1, 2)]), ["2020-01-02"]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_text(column: pa.Array, expected: list[Any]) -> None:
    assert _read(column, "text") == (expected, {})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (
            pa.array([b"1.5", b" 2 ", b"", None, b"-0", b"1e3", b"+4", b".5"], B),
            [1.5, 2, None, None, -0.0, 1e3, 4, 0.5],
        ),
        (pa.array([b"nan", b"inf", b"-Infinity", b"1e999"], B), [None, np.inf, -np.inf, np.inf]),
        (pa.array([b"9007199254740993"], B), [2.0**53]),
        (pa.array([2**53 + 1, None]), [2.0**53, None]),
        (pa.array([2**64 - 1], pa.uint64()), [2.0**64]),
        (pa.array([1.5, np.nan], pa.float16()), [1.5, None]),
        (pa.array([True, None, False]), [1.0, None, 0.0]),
        (pa.array([decimal.Decimal("3.10"), None]), [3.1, None]),
        (pa.array(["5", "6"]).dictionary_encode(), [5.0, 6.0]),
        (pa.nulls(1), [None]),
    ],
)
def test_number(column: pa.Array, expected: list[Any]) -> None:
    assert _read(column, "number") == (expected, {})


_MOMENT = datetime.datetime(2020, 1, 1, 0, 0, 1, 567_890)


@pytest.mark.parametrize(
    ("column", "unit", "expected"),
    [
        (pa.array([b"1577836801", b" 5 ", b"-7", b"1.9", b"-1.1"], B), "s", [1577836801, 5, -7, 1, -2]),
        (pa.array([str(2**53 + 1).encode(), b"x"], B)[:1], "s", [2**53 + 1]),
        (pa.array([5, -7], pa.int16()), "s", [5, -7]),
        (pa.array([5], pa.uint64()), "s", [5]),
        (pa.array([1.7e9 + 0.5, -0.5]), "s", [1_700_000_000, -1]),
        (pa.array([_MOMENT]), "s", [1577836801]),
        (pa.array([_MOMENT]), "ms", [1577836801567]),
        (pa.array([_MOMENT], pa.timestamp("ns", "UTC")), "ms", [1577836801567]),
        (pa.array([_MOMENT]), "us", [1577836801567890]),
        (pa.array([_MOMENT], pa.timestamp("s")), "ns", [1577836801 * 10**9]),
        (pa.array([-1500], pa.timestamp("ms")), "s", [-2]),
        (pa.array([_MOMENT.date()]), "s", [1577836800]),
        (pa.array([_MOMENT.date()], pa.date64()), "ms", [1577836800000]),
        (pa.array([18262, -1], pa.int32()), "d", [1577836800, -86400]),
        (pa.array([b"18262", b"18262.9"], B), "d", [1577836800, 1577836800]),
        (pa.array([_MOMENT]), "d", [1577836800]),
        (
            pa.array([b"2020-01-01", b"2020-01-01T00:00:01", b" 2020-01-01 00:00:01.9 "], B),
            "s",
            [1577836800, 1577836801, 1577836801],
        ),
        (pa.array(["2020-01-01T02:00:01+02:00", "2020-01-01T00:00:01Z", "1577836801"]), "s", [1577836801] * 3),
        (pa.array(["2020-01-01T00:00:01.567890123"]), "ns", [1577836801567890000]),
        (pa.array(["2020-01-01T00:00:01.567"]).dictionary_encode(), "ms", [1577836801567]),
    ],
)
def test_time(column: pa.Array, unit: str, expected: list[int]) -> None:
    assert _read(column, "time", Keys("u", "c", time_unit=unit)) == (expected, {})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([b"a|b||c|d", b"", None, b"|", b"a"], B), [["a", "b", "c"], [], [], [], ["a"]]),
        (pa.array([["a", None, "", "b", "c", "d"], None, []]), [["a", "b", "c"], [], []]),
        (pa.array([["x"], ["a"], ["b"]])[1:], [["a"], ["b"]]),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)), [["1", "2"], ["3", "4"]]),
        (pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)), [["1", "2"], [], ["3", "4"]]),
        (pa.array([[1e10, 2.5], None, [3.0]]), [["10000000000", "2.5"], [], ["3"]]),
        (pa.array([["a"], None], pa.list_view(pa.string_view())), [["a"], []]),
        (pa.array([["a"]], pa.large_list(pa.string())), [["a"]]),
        (pa.array([[b"a", b"b"]], pa.list_(B)), [["a", "b"]]),
        (pa.array([[True, False]]), [["1", "0"]]),
        (pa.array([["a", "b"]], pa.list_(pa.dictionary(pa.int32(), pa.string()))), [["a", "b"]]),
        (pa.array(["a|b"]).dictionary_encode(), [["a", "b"]]),
        (pa.array([3, None]), [["3"], []]),
        (pa.array([], pa.string()), []),
    ],
)
def test_lists(column: pa.Array, expected: list[list[str]]) -> None:
    assert _read(column, "lists", "|", 3) == (expected, {})


_NESTED = "column 'c' holds a list or a record where one value is expected"


@pytest.mark.parametrize(
    ("column", "what", "reasons"),
    [
        (pa.array([b"a", b"\xff", b"b"], B), ("text",), {1: "column 'c' is not UTF-8 text"}),
        (pa.array([b"a|b", b"a|\xff"], B), ("lists", "|", 3), {1: "column 'c' is not UTF-8 text"}),
        (pa.array([[b"a"], [b"b", b"\xff"]], pa.list_(B)), ("lists", "|", 3), {1: "column 'c' is not UTF-8 text"}),
        (pa.array([["a"], None, ["b"]]), ("text",), {0: _NESTED, 2: _NESTED}),
        (pa.array([[["a"]], None]), ("lists", "|", 3), {0: _NESTED}),
        (pa.array([{"a": 1}]), ("number",), {0: _NESTED}),
        (pa.array([b"1", b"one", b"1,5", b"1_0", b"0x10", b" ", b"- 1"], B), ("number",),
         {i: f"column 'c' is not a number: {text!r}" for i, text in enumerate(
             ["", "one", "1,5", "1_0", "0x10", " ", "- 1"]) if i}),
        (pa.array([b"5", b"", None, b"soon", b"nan"], B), ("time", SECONDS),
         {1: "column 'c' (the time) is missing", 2: "column 'c' (the time) is missing",
          3: "column 'c' is not a number: 'soon'", 4: "column 'c' (the time) is missing"}),
        (pa.array([b"9223372036854775807", b"9223372036854775808", b"-1e30", b"inf"], B), ("time", SECONDS),
         {1: "column 'c' (the time) is out of range: '9223372036854775808'",
          2: "column 'c' (the time) is out of range: '-1e30'", 3: "column 'c' (the time) is out of range: 'inf'"}),
        (pa.array([2**63], pa.uint64()), ("time", SECONDS), {0: "column 'c' (the time) is out of range: "
                                                          "'9223372036854775808'"}),
        (pa.array([None], pa.timestamp("us")), ("time", SECONDS), {0: "column 'c' (the time) is missing"}),
        (pa.array([datetime.date(2020, 1, 1)]), ("time", SECONDS), {}),
        (pa.array(["2020-13-01", "2020-01-01T25:00:00", "01.02.2020"]), ("time", SECONDS),
         {0: "column 'c' is not a time: '2020-13-01'", 1: "column 'c' is not a time: '2020-01-01T25:00:00'",
          2: "column 'c' is not a number: '01.02.2020'"}),
        (pa.array([b"99999999999999999"], B), ("time", Keys("u", "c", time_unit="d")),
         {0: "column 'c' (the time) is out of range: '99999999999999999'"}),
    ],
)  # fmt: skip
def test_values_that_cannot_be_read(column: pa.Array, what: tuple[Any, ...], reasons: dict[int, str]) -> None:
    assert _read(column, *what)[1] == reasons


_SPELLINGS = st.sampled_from(
    [b"1", b"2.5", b" 3", b"+4", b"nan", b"nan(ind)", b"inf", b"0x10", b"1_0", b"9007199254740993", b"x", b"", b"1e30",
     b"-1.5", b"\xff", b" ", "４".encode(), b"1d", b"infinity", b"9223372036854775807",
     b"2020-01-01", b"2020-01-01T00:00:00Z", b"2020-13-01", None]
)  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(values=st.lists(_SPELLINGS | st.binary(max_size=4), min_size=1, max_size=8))
@pytest.mark.parametrize("what", [("text",), ("number",), ("time", SECONDS), ("lists", "|", 3)])
def test_a_value_is_read_alike_whatever_stands_beside_it(what: tuple[Any, ...], values: list[bytes | None]) -> None:
    together, reasons = _read(pa.array(values, B), *what)
    alone = [_read(pa.array([value], B), *what) for value in values]
    assert together == [read for [read], _ in alone]
    assert reasons == {row: own[0] for row, (_, own) in enumerate(alone) if own}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["new", 7, null, 1.0, true]', ["new", "7", "1"]),
        ("['new', 'red']", ["new", "red"]),
        ("['it\\'s' \"x\"]", ["it's", "x"]),
        ("[]", []),
        ("[nan, 1.50, 10000000001.0]", ["1.5", "10000000001"]),
        ("", []),
    ],
)
def test_written_lists(text: str, expected: list[str]) -> None:
    assert _read(pa.array([text, None, "[1]"]), "lists", "|", 3, "json") == ([expected, [], ["1"]], {})


def test_what_is_no_written_list() -> None:
    texts = ["new", '{"a": 1}', "[['a']]", "['a'b]", "[a", "7", "[" * 100_000]
    reasons = _read(pa.array(texts), "lists", "|", 3, "json")[1]
    assert list(reasons) == list(range(7))
    assert reasons[0] == "column 'c' is not a list of single values: 'new'"


def test_blanks_beside_the_separator() -> None:
    assert _read(pa.array(["a, b ,  c", " "]), "lists", ",", 5) == ([["a", "b", "c"], []], {})
    assert _read(pa.array(["a b"]), "lists", " ", 5) == ([["a", "b"]], {})


@pytest.mark.parametrize(
    ("column", "what", "expected"),
    [
        (pa.array(["\\N", "-1", "a"]), ("text",), [None, None, "a"]),
        (pa.array([b"\\N", b"-1", b"5"], B), ("number",), [None, None, 5.0]),
        (pa.array([-1, 5]), ("number",), [None, 5.0]),
        (pa.array([-1.0, 5.0]), ("text",), [None, "5"]),
        (pa.array(["-1|a", "\\N"]), ("lists", "|", 3), [["a"], []]),
        (pa.array([["-1", "a"], None]), ("lists", "|", 3), [["a"], []]),
    ],
)
def test_texts_that_mean_missing(column: pa.Array, what: tuple[Any, ...], expected: list[Any]) -> None:
    rejections = Rejections(len(column))
    batch = pa.RecordBatch.from_arrays([column], ["c"])
    raw = RawColumns(batch, rejections, missing={"c": ("\\N", "-1")})
    assert (getattr(raw, what[0])("c", *what[1:]).to_pylist(), rejections.reasons) == (expected, [])


# === Rows ===

PROBLEM = Problem(
    "shop",
    keys=Keys("user", "ts"),
    features=(CategoricalFeature("item"), NumericFeature("price")),
    sequences=(SequenceFeature("bought", ("item",), when="buy == 1 and kind != 'gift'"),),
    tasks=(
        BinaryTask("click"),
        BinaryTask("buy", parent="click"),
        RegressionTask("watch", label="seconds", sample_space="click == 1"),
        BinaryTask("shared", sample_space="kind == 'post'"),
    ),
    split=Split(by="column", column="part"),
    examples="price > 0",
)
GOOD = {"user": "u", "ts": 5, "item": "i", "price": 2.0, "kind": "post", "click": 1, "buy": 1, "seconds": 3.5,
        "shared": 0, "part": "train"}  # fmt: skip


def _canonical(*changes: dict[str, Any], problem: Problem = PROBLEM) -> tuple[pa.RecordBatch, list[tuple[int, str]]]:
    rows = [{**GOOD, **change} for change in changes]
    batch = pa.RecordBatch.from_pydict({name: [row[name] for row in rows] for name in columns.raw_columns(problem)})
    return canonicalize(problem, batch, 3, np.arange(100, 100 + batch.num_rows))


def test_a_good_row() -> None:
    batch, rejected = _canonical({})
    assert rejected == []
    assert batch.to_pylist() == [
        {
            "row:file": 3, "row:number": 100, "key:user": "u", "key:time": 5, "key:group": "u", "item": "i",
            "price": 2.0, "row:example": True, "event:bought": True, "label:click": 1.0, "label:buy": 1.0,
            "label:watch": 3.5, "label:shared": 0.0, "row:split": 0,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user": None}, "column 'user' (the user) is missing"),
        ({"user": ""}, "column 'user' (the user) is missing"),
        ({"ts": None}, "column 'ts' (the time) is missing"),
        ({"click": 2}, "label 'click' is neither 0 nor 1: 2.0"),
        ({"click": 0.5}, "label 'click' is neither 0 nor 1: 0.5"),
        ({"click": float("inf")}, "label 'click' is neither 0 nor 1: inf"),
        ({"seconds": float("inf")}, "label 'seconds' is not finite in float32: inf"),
        ({"seconds": 1e39}, "label 'seconds' is not finite in float32: 1e+39"),
        ({"click": 0}, "label of task 'buy' is 1 while its parent 'click' is 0"),
        ({"part": "dev"}, "split is none of train, valid, test: 'dev'"),
        ({"part": None}, "split is none of train, valid, test: None"),
    ],
)
def test_a_bad_row_leaves_and_its_neighbors_stay(change: dict[str, Any], reason: str) -> None:
    batch, rejected = _canonical({}, change, {"item": "j"})
    assert rejected == [(1, reason)]
    assert batch.column("item").to_pylist() == ["i", "j"]
    assert batch.column(columns.ROW).to_pylist() == [100, 102]


def test_a_row_keeps_its_first_reason() -> None:
    _, rejected = _canonical({"user": None, "click": 7, "part": "dev"})
    assert rejected == [(0, "column 'user' (the user) is missing")]


@pytest.mark.parametrize(
    ("change", "labels"),
    [
        ({"click": None, "buy": None}, [None, None, None, 0.0]),
        ({"click": float("nan"), "buy": 1}, [None, 1.0, None, 0.0]),  # an unknown parent contradicts nothing
        ({"click": 0, "buy": 0}, [0.0, 0.0, None, 0.0]),
        ({"seconds": None}, [1.0, 1.0, None, 0.0]),
        ({"kind": "gift"}, [1.0, 1.0, 3.5, None]),
        ({"kind": None}, [1.0, 1.0, 3.5, None]),
    ],
)
def test_missing_labels(change: dict[str, Any], labels: list[float | None]) -> None:
    batch, rejected = _canonical(change)
    assert rejected == []
    names = ("click", "buy", "watch", "shared")
    assert [batch.column(columns.label(name))[0].as_py() for name in names] == labels


@pytest.mark.parametrize(
    ("change", "is_event", "is_example"),
    [
        ({"buy": 0}, False, True),
        ({"kind": "gift"}, False, True),
        ({"kind": None}, False, True),  # a missing value satisfies no comparison, not even !=
        ({"buy": None}, False, True),
        ({"price": 0.0}, True, False),
        ({"price": None}, True, False),
    ],
)
def test_conditions(change: dict[str, Any], is_event: bool, is_example: bool) -> None:
    batch, rejected = _canonical(change)
    assert rejected == []
    assert batch.column(columns.event("bought"))[0].as_py() is is_event
    assert batch.column(columns.IS_EXAMPLE)[0].as_py() is is_example


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("price == 2", [False, True, False]), ("price != 2", [True, False, True]), ("price >= 2", [False, True, True]),
        ("price <= 2", [True, True, False]), ("price > 2", [False, False, True]), ("price < 2", [True, False, False]),
        ("item == 'b'", [False, True, False]), ("item != 'b'", [True, False, True]),
        ("price > 1 and item == 'c' and ts == 5", [False, False, True]),
        ("price == 1 or item == 'c'", [True, False, True]), ("not price == 1", [False, True, True]),
        ("item in ('a', 'c')", [True, False, True]), ("item not in ('a', 'x')", [False, True, True]),
        ("price in (2, 3)", [False, True, True]), ("not (price > 1 and not item == 'c')", [True, False, True]),
        ("`price` < 2 or `item` == 'b' and price == 3", [True, False, False]),
    ],
)  # fmt: skip
def test_every_operator(when: str, expected: list[bool]) -> None:
    problem = Problem("p", PROBLEM.features, PROBLEM.tasks, PROBLEM.keys, split=PROBLEM.split, examples=when)
    rows = [{"price": price, "item": item} for price, item in ((1.0, "a"), (2.0, "b"), (3.0, "c"))]
    batch, _ = _canonical(*rows, problem=problem)
    assert batch.column(columns.IS_EXAMPLE).to_pylist() == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("kind == 'post'", False), ("not kind == 'post'", False), ("kind in ('post')", False),
        ("kind not in ('post')", False), ("kind == 'post' or price == 2", True),
        ("kind == 'post' and price == 1", False), ("not (kind == 'post' and price == 1)", True),
        ("not (kind == 'post' or price == 1)", False),
    ],
)  # fmt: skip
def test_what_is_unknown_does_not_hold(when: str, expected: bool) -> None:
    problem = Problem("p", PROBLEM.features, PROBLEM.tasks, PROBLEM.keys, split=PROBLEM.split, examples=when)
    batch, _ = _canonical({"kind": None}, problem=problem)
    assert batch.column(columns.IS_EXAMPLE).to_pylist() == [expected]


def test_a_label_of_words() -> None:
    tasks = (BinaryTask("click", positive="yes"),)
    problem = Problem("p", PROBLEM.features, tasks, PROBLEM.keys, split=PROBLEM.split, missing=("?",))
    answers = ["yes", "no", "?", None, "YES"]
    batch, rejected = _canonical(*({"click": answer} for answer in answers), problem=problem)
    assert rejected == []
    assert batch.column(columns.label("click")).to_pylist() == [1.0, 0.0, None, None, 0.0]


def test_the_columns_a_log_must_have() -> None:
    assert columns.raw_columns(PROBLEM) == (
        "user", "ts", "part", "item", "price", "click", "buy", "seconds", "shared", "kind",
    )  # fmt: skip
