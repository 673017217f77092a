"""One log in every type and format that can hold it: the same bytes, and a word where files or values disagree."""

import decimal
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.plain_run import run_plan
from tests.support.small_log import contents, write_csv
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, NumericFeature, Problem, SequenceFeature, Split

PROBLEM = Problem(
    "shop",
    keys=Keys("user", "ts"),
    features=(CategoricalFeature("item"), CategoricalFeature("tags", multi_valued=True), NumericFeature("price")),
    sequences=(SequenceFeature("viewed", ("item",), max_length=5),),
    tasks=(BinaryTask("click"),),
    split=Split(by="time", valid=0.2, test=0.2),
)
Row = dict[str, Any]


def _rows(items: list[int | None]) -> list[Row]:
    return [
        {
            "user": 10_000_000_000 + number % 3,
            "ts": 1_600_000_000 + 1000 * number,
            "item": item,
            "tags": [item, 10_000_000_001] if item is not None else [],
            "price": number % 7,
            "click": int(number % 4 == 0),
        }
        for number, item in enumerate(items)
    ]


def _parquet(convert: Callable[[list[Any]], pa.Array], convert_lists: Callable[[list[Any]], pa.Array]) -> Any:
    def write(folder: Path, rows: list[Row]) -> Path:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        table = {name: (convert_lists if name == "tags" else convert)(values) for name, values in columns.items()}
        table["ts"] = pa.array(columns["ts"])
        parquet.write_table(pa.table(table), folder / "log.parquet")
        return folder / "log.parquet"

    return write


def _texts(values: list[Any]) -> list[str | None]:
    return [None if value is None else str(value) for value in values]


def _decimals(values: list[Any]) -> pa.Array:
    return pa.array([None if value is None else decimal.Decimal(value) for value in values], pa.decimal128(30, 9))


def _text_lists(kind: pa.DataType) -> Callable[[list[Any]], pa.Array]:
    return lambda rows: pa.array([_texts(row) for row in rows], kind)


def _write_csv(name: str) -> Any:
    return lambda folder, rows: write_csv(folder / name, [{**row, "tags": _texts(row["tags"])} for row in rows])


def _write_json_lines(folder: Path, rows: list[Row]) -> Path:
    path = folder / "log.jsonl.gz"
    lines = [json.dumps({name: value for name, value in row.items() if value is not None}) + "\n" for row in rows]
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return path


_FLOATS = pa.list_(pa.float64())
FORMATS = {
    "int64": _parquet(pa.array, pa.array),
    "double": _parquet(
        lambda values: pa.array([np.nan if value is None else float(value) for value in values]),
        lambda rows: pa.array([[float(value) for value in row] for row in rows], _FLOATS),
    ),
    "double with nulls": _parquet(lambda values: pa.array(values, pa.float64()), lambda rows: pa.array(rows, _FLOATS)),
    "decimal": _parquet(_decimals, lambda rows: pa.array(rows, pa.large_list(pa.int64()))),
    "string": _parquet(lambda values: pa.array(_texts(values)), _text_lists(pa.list_(pa.string()))),
    "dictionary": _parquet(
        lambda values: pa.array(_texts(values)).dictionary_encode(),
        _text_lists(pa.list_(pa.dictionary(pa.int32(), pa.string()))),
    ),
    "string_view": _parquet(
        lambda values: pa.array(_texts(values), pa.string_view()), _text_lists(pa.list_(pa.string_view()))
    ),
    "csv": _write_csv("log.csv"),
    "tsv": _write_csv("log.tsv"),
    "json lines": _write_json_lines,
}


@settings(max_examples=3, deadline=None, derandomize=True)
@given(items=st.lists(st.none() | st.sampled_from([1, 2, 10_000_000_001, 2**53]), min_size=20, max_size=30))
def test_a_log_gives_the_same_bytes_whatever_stores_it(
    tmp_path_factory: pytest.TempPathFactory, items: list[int | None]
) -> None:
    rows = _rows([1, *items, None])
    written = {}
    for name, write in FORMATS.items():
        folder = tmp_path_factory.mktemp("log")
        run_plan(PROBLEM, [write(folder, rows)], folder / "out")
        written[name] = contents(folder / "out")
    expected = written["int64"]
    assert "10000000001" in expected["transform/vocabularies/tags.txt"].decode().split()
    assert [name for name, output in written.items() if output != expected] == []


# === Warnings ===


def _table(**columns: Any) -> pa.Table:
    rows = len(next(iter(columns.values()))) if columns else 20
    return pa.table(
        {
            "user": [f"u{number % 3}" for number in range(rows)],
            "ts": [1_600_000_000 + 1000 * number for number in range(rows)],
            "item": [f"i{number % 4}" for number in range(rows)],
            "tags": pa.array([["a"]] * rows),
            "price": [float(number) for number in range(rows)],
            "click": [int(number % 4 == 0) for number in range(rows)],
            **columns,
        }
    )


def _warnings(folder: Path, *tables: pa.Table, problem: Problem = PROBLEM, **options: Any) -> list[str]:
    paths = []
    for number, table in enumerate(tables):
        parquet.write_table(table, folder / f"day{number}.parquet")
        paths.append(folder / f"day{number}.parquet")
    found: list[str] = run_plan(problem, paths, folder / "out", **options)["warnings"]
    return [warning.replace(f"{folder}/", "") for warning in found]


def test_files_that_agree(tmp_path: Path) -> None:
    narrow = _table(price=pa.array(range(20), pa.int8()), item=pa.array(_table()["item"]).dictionary_encode())
    assert _warnings(tmp_path, _table(), narrow, _table(item=pa.nulls(20))) == []


@pytest.mark.parametrize(
    ("first", "second", "advice"),
    [
        (pa.array(range(20)), pa.array(np.arange(20.0)), "'item': int64 in 'day0.parquet', double in 'day1.parquet'. "
         "Whole numbers are spelled alike in both, but a double is exact up to 2**53 only"),
        (pa.array([True] * 20), pa.array(["True"] * 20), "'item': bool in 'day0.parquet', string in 'day1.parquet'. A "
         "bool is read as 1 or 0 and text as it stands"),
        (pa.array(range(20)), pa.array(["1"] * 20), "'item': int64 in 'day0.parquet', string in 'day1.parquet'. Check"),
    ],
)  # fmt: skip
def test_files_that_disagree(tmp_path: Path, first: pa.Array, second: pa.Array, advice: str) -> None:
    warning, *_ = reversed(_warnings(tmp_path, _table(item=first), _table(item=second)))
    assert f"files disagree on column {advice}" in warning


def test_times_with_and_without_a_zone(tmp_path: Path) -> None:
    times = _table()["ts"].cast(pa.timestamp("s"))
    [warning] = _warnings(tmp_path, _table(ts=times), _table(ts=times.cast(pa.timestamp("s", "UTC"))))
    assert "files disagree on column 'ts': timestamp[ms] in" in warning
    assert "Times without a zone are taken for UTC" in warning


def test_floats_too_large_to_be_ids(tmp_path: Path) -> None:
    items = pa.array(np.arange(20, dtype=np.float32) + 2**25)
    [warning] = _warnings(tmp_path, _table(item=items))
    assert warning.startswith("column 'item' holds 20 floating-point numbers that are too large")


def test_a_vocabulary_with_two_spellings(tmp_path: Path) -> None:
    [numbers] = _warnings(tmp_path, _table(item=["7", "7.0", "8", "08", "v1"] * 4))
    assert "the vocabulary of 'item' holds 2 numbers in two spellings, such as '7' and '7.0', '8' and '08'" in numbers
    [bools] = _warnings(tmp_path, _table(item=["True", "1", "0", "False"] * 5))
    assert "the vocabulary of 'item' holds yes and no in several spellings: ['0', '1', 'False', 'True']" in bools


def test_ids_that_float_cannot_tell_apart_are_no_second_spelling(tmp_path: Path) -> None:
    items = pa.array([2**63 + number for number in range(4)] * 5, pa.uint64())
    assert _warnings(tmp_path, _table(item=items)) == []


@pytest.mark.parametrize(
    ("column", "values", "warning"),
    [
        ("item", [None] * 20, "the vocabulary of 'item' is empty: no training row has a value"),
        ("item", ["a", "b\nc"] * 10, "the vocabulary of 'item' leaves out 1 values that hold a line break."),
        ("price", [None] * 20, "column 'price' has no number in any training row."),
    ],
)
def test_a_feature_without_what_it_is_made_of(tmp_path: Path, column: str, values: list[Any], warning: str) -> None:
    found = _warnings(tmp_path, _table(**{column: values}))
    assert any(each.startswith(warning) for each in found)
    assert not any(each.startswith(warning) for each in _warnings(tmp_path, _table()))


HASHED = replace(
    PROBLEM,
    features=(
        CategoricalFeature("item", hash_buckets=50),
        CategoricalFeature("tags", multi_valued=True, hash_buckets=50),
        NumericFeature("price"),
    ),
)


@pytest.mark.parametrize("column", ["item", "tags"])
def test_a_hashed_column_with_two_spellings(tmp_path: Path, column: str) -> None:
    def told(values: list[Any], *more: Any) -> list[str]:
        columns = [values, *more]
        if column == "tags":
            columns = [[[value] for value in each] for each in columns]
        return _warnings(tmp_path, *[_table(**{column: each}) for each in columns], problem=HASHED)

    assert told(["7.5", "8", "v1.0", "true love", "no"] * 4) == told(["1", "0", "10", "8"] * 5) == []
    assert told(["1.0", "0.0", "12.0", "8.5"] * 5) == told(["True", "False"] * 10) == []
    [numbers] = told(["7", "8", "v1", "-3.0"] * 5)
    assert numbers == (
        f"column '{column}', which is hashed, holds 10 whole numbers like '7' and 5 like '7.0', which are different "
        "values. Write them alike in the log."
    )
    bools, *_ = told(["True", "False"] * 10, pa.array([True, False] * 10) if column == "item" else ["1", "0"] * 10)
    assert f"column '{column}', which is hashed, holds yes and no in several spellings, ['0', '1', 'False'" in bools
    [cased] = told(["True", "true", "x", "y"] * 5)
    assert "in several spellings, ['True', 'true']" in cased


def test_a_hashed_column_that_another_day_spells_otherwise(tmp_path: Path) -> None:
    for name in ("first", "second", "old"):
        (tmp_path / name).mkdir()
    first = _table(item=["True", "False"] * 10)
    assert _warnings(tmp_path / "first", first, problem=HASHED) == []
    earlier = tmp_path / "first" / "out"
    assert json.loads((earlier / "manifest.json").read_text())["spellings"]["item"]["True"] == 10
    options = {"problem": HASHED, "transform_from": str(earlier)}
    [warning] = _warnings(tmp_path / "second", _table(item=["0", "1"] * 10), **options)
    assert f"column 'item', which is hashed, together with '{earlier}' holds yes and no in several" in warning
    assert _warnings(tmp_path / "old", first, **options) == []


def test_a_vocabulary_that_hardly_knows_the_log(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    assert _warnings(tmp_path / "first", _table()) == []
    taken = {"transform_from": str(tmp_path / "first" / "out")}
    [warning] = _warnings(tmp_path, _table(item=[f"v{number}" for number in range(20)]), **taken)
    assert warning.startswith("100% of the values of feature 'item' are not in the vocabulary that was taken over")


def test_a_type_that_cannot_be_read_stops_the_job(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"day0\.parquet': column 'item' \(feature 'item'\) is of type struct<a: int64>"
    ):
        _warnings(tmp_path, _table(item=[{"a": 1}] * 20))
