"""A user with very many events costs what its rows cost, whatever its windows would hold."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfmtl.data.raw_transform import RawTransform
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting import analyze
from tfmtl.preprocessing.writing.encode import encode_bucket
from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, Problem, SequenceFeature, Split

ROWS = 40_000
PROBLEM = Problem(
    "skewed",
    keys=Keys("user", "ts"),
    features=(CategoricalFeature("user"), CategoricalFeature("item")),
    sequences=(SequenceFeature("seen", ("item",), max_length=500),),
    tasks=(BinaryTask("click"),),
    split=Split(valid=0.0, test=0.0),
)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> tuple[pa.Table, RawTransform]:
    """All rows are of one user, one a second, of item `i<row % 50>`; with the transform fitted on them."""
    rows = np.arange(ROWS)
    table = pa.table(
        {
            columns.FILE: np.zeros(ROWS, np.int32),
            columns.ROW: rows,
            columns.USER: pa.array(["u"] * ROWS),
            columns.TIME: rows,
            columns.GROUP: pa.array(["u"] * ROWS),
            "user": pa.array(["u"] * ROWS),
            "item": pa.array([f"i{row % 50:02d}" for row in rows]),
            columns.IS_EXAMPLE: np.ones(ROWS, bool),
            columns.event("seen"): np.ones(ROWS, bool),
            columns.label("click"): np.zeros(ROWS, np.float32),
            columns.SPLIT: np.zeros(ROWS, np.int8),
        }
    )
    counts = dict(analyze.count_values(PROBLEM, table.combine_chunks().to_batches()[0]))
    folder = tmp_path_factory.mktemp("transform")
    analyze.build_statistics(PROBLEM, counts).save(folder)
    return table, RawTransform(PROBLEM, folder)


def _peak(table: pa.Table, transform: RawTransform, max_length: int) -> tuple[int, int, int]:
    """Most bytes that NumPy and Arrow held at once beyond the table, examples, and bytes of all records."""
    sequence = replace(PROBLEM.sequences[0], max_length=max_length)
    problem = replace(PROBLEM, sequences=(sequence,))
    before = pa.total_allocated_bytes()
    arrow, examples, size = 0, 0, 0
    tracemalloc.start()
    for records in encode_bucket(problem, transform, table, (0, 0)).records("train"):
        arrow = max(arrow, pa.total_allocated_bytes() - before)
        examples += len(records)
        size += records.nbytes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak + arrow, examples, size


def test_memory_does_not_follow_the_windows(bucket: tuple[pa.Table, RawTransform]) -> None:
    short, examples, small = _peak(*bucket, 5)
    long, _, large = _peak(*bucket, 500)
    assert examples == ROWS
    assert large > ROWS * 1000 > 4 * small  # bytes: two lists of 500 a record
    assert long < 3 * short + (24 << 20)
    assert 3 * long < 500 * 8 * ROWS  # what lists of row numbers would take


def test_a_window_of_the_longest_history(bucket: tuple[pa.Table, RawTransform]) -> None:
    encoded = encode_bucket(PROBLEM, bucket[1], bucket[0], (0, 0), 3)
    for request in encoded.requests:
        now, seen = request["features"]["ts"], request["features"]["seen__time"]
        assert seen == list(range(max(0, now - 500), now))
    [record] = next(encoded.records("train"))[:1].to_pylist()
    features = tf.train.Example.FromString(record).features.feature
    items = list(features["seen__item"].int64_list.value)
    [own] = features["item"].int64_list.value
    assert len(items) == 500
    assert items[-50] == own  # items come round every 50 rows
    assert items == items[-50:] * 10
    assert list(features["seen__gap"].int64_list.value)[-4:] == [5, 4, 4, 3]  # after 4, 3, 2 and 1 seconds


def test_the_slice_bound_holds_back_what_windows_hold(
    bucket: tuple[pa.Table, RawTransform], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfmtl.preprocessing.writing.encode._SLICE_VALUES", 50_000)
    sizes = [len(part) for part in encode_bucket(PROBLEM, bucket[1], bucket[0], (0, 0)).records("train")]
    assert max(sizes) == 100
    assert sum(sizes) == ROWS
