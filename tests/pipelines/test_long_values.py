"""Small files that would fill the memory: their long values are rejected rows, and the others are read in parts."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.small_log import run, small_log, write_parquet
from tfmtl.preprocessing.reading import long_values
from tfmtl.preprocessing.reading.long_values import bounded
from tfmtl.preprocessing.reading.raw_batch import RawBatch
from tfmtl.preprocessing.reading.read import read_batches

ROWS = small_log(80)


def _read(path: Path, *columns: str) -> tuple[list[dict[str, Any]], list[int], list[tuple[int, str]], list[int]]:
    """Rows, their numbers, unreadable rows and sizes of the batches."""
    batches = list(read_batches(str(path), columns))
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    numbers = [int(number) for batch in batches for number in batch.numbers]
    unreadable = [pair for batch in batches for pair in batch.unreadable]
    return rows, numbers, unreadable, [batch.rows.nbytes for batch in batches]


@pytest.mark.parametrize("listed", [False, True])
def test_a_dictionary_of_one_long_text(tmp_path: Path, listed: bool) -> None:
    """A file of some kilobytes whose values, written out, would take three gigabytes."""
    texts = pa.array(["x" * 1_000_000, "short"])
    codes = pa.array(([0] * 3000 + [1] * 5 + [None]), pa.int32())
    values: Any = pa.DictionaryArray.from_arrays(codes, texts)
    if listed:
        values = pa.ListArray.from_arrays(pa.array(range(len(codes) + 1), pa.int32()), values)
    parquet.write_table(pa.table({"a": values, "b": list(range(len(codes)))}), tmp_path / "log.parquet")
    assert (tmp_path / "log.parquet").stat().st_size < 100_000
    rows, numbers, unreadable, sizes = _read(tmp_path / "log.parquet", "a", "b")
    expected = ["short"] * 5 + [None]
    assert [row["a"] for row in rows] == ([[text] for text in expected] if listed else expected)
    assert numbers == [row["b"] for row in rows] == list(range(3000, 3006))
    reason = "column 'a' holds a value of more than 262,144 bytes: 1,000,000"
    assert unreadable == [(number, reason) for number in range(3000)]
    assert max(sizes) < 1000


def test_long_texts_that_may_stay_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_values, "MOST_BATCH_BYTES", 1 << 20)
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 50, pa.int8()), pa.array(["x" * 100_000, "y"]))
    parquet.write_table(pa.table({"a": texts, "b": list(range(100))}), tmp_path / "log.parquet")
    rows, numbers, unreadable, sizes = _read(tmp_path / "log.parquet", "a", "b")
    assert [row["a"][0] for row in rows] == ["x", "y"] * 50
    assert numbers == list(range(100))
    assert unreadable == []
    assert len(sizes) >= 5
    assert max(sizes) < 3 << 20


def test_the_job_goes_on_without_such_a_row(tmp_path: Path) -> None:
    table = parquet.read_table(write_parquet(tmp_path / "log.parquet", ROWS))
    items = pa.array(["x" * 300_000 if index == 7 else row["item"] for index, row in enumerate(ROWS)])
    parquet.write_table(table.set_column(table.schema.get_field_index("item"), "item", items), tmp_path / "log.parquet")
    manifest = run(tmp_path / "out", tmp_path / "log.parquet")
    assert manifest["rows_in"] == 80
    assert manifest["rows_rejected"] == {"column 'item' holds a value of more than 262,144 bytes": 1}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    values=st.lists(st.none() | st.text("ab", max_size=12), max_size=12),
    lists=st.lists(st.none() | st.lists(st.none() | st.text("ab", max_size=9), max_size=3), max_size=12),
    kind=st.sampled_from(["plain", "coded", "view"]),
    most=st.tuples(st.integers(1, 12), st.integers(1, 40)),
)
def test_against_the_definition(values: Any, lists: Any, kind: str, most: tuple[int, int]) -> None:
    count = min(len(values), len(lists))
    values, lists = values[:count], lists[:count]
    texts: Any = pa.array(values, pa.string_view() if kind == "view" else pa.string())
    listed: Any = pa.array(lists, pa.list_(pa.string()))
    if kind == "coded":
        texts = texts.dictionary_encode()
        listed = listed.cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))
    batch = pa.RecordBatch.from_arrays([texts, listed], names=["a", "b"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_values, "MOST_VALUE_BYTES", most[0])
        patch.setattr(long_values, "MOST_BATCH_BYTES", most[1])
        found = list(bounded(RawBatch(10 * np.arange(count), batch, [(5, "ragged")], {"lines": count})))
    long = [
        max([len(text or ""), *(len(item or "") for item in items or [])]) > most[0]
        for text, items in zip(values, lists, strict=True)
    ]
    assert [int(n) for part in found for n in part.numbers] == [10 * i for i in range(count) if not long[i]]
    assert [pair[0] for part in found for pair in part.unreadable] == [5, *(10 * i for i in range(count) if long[i])]
    assert [row for part in found for row in part.rows.to_pylist()] == [
        {"a": values[i], "b": lists[i]} for i in range(count) if not long[i]
    ]
    assert sum(part.counts.get("lines", 0) for part in found) == count
