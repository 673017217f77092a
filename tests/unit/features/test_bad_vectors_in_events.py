"""A bad vector costs the event that has it: it is left out and counted, and the rows that read the others stay."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.tiny_problem import prepare, tiny_log, tiny_problem, whole_split
from tfmtl.data import PreparedData
from tfmtl.preprocessing.reading.canonical import canonicalize
from tfmtl.preprocessing.reading.noticed import Noticed, noticed_columns
from tfmtl.preprocessing.reading.row_events import BAD_VECTOR, LATE
from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, Problem, SequenceFeature, Split, VectorFeature

NAN, INF = float("nan"), float("inf")
SEEN = SequenceFeature("seen", ("item", "picture"), source="row", lists=("items", "pictures"), times="at")
PROBLEM = Problem(
    "shop",
    keys=Keys("user", "time"),
    features=(CategoricalFeature("item"), VectorFeature("picture", 2, "z_score", separator=" ")),
    sequences=(SEEN,),
    tasks=(BinaryTask("click"),),
    split=Split("row"),
)
GOOD = [1.0, 2.0]
ROWS: list[dict[str, Any]] = [
    {"items": ["a", "b", "c"], "pictures": [GOOD, [1.0], [3.0, 4.0]], "at": [1, 2, 3]},
    {"items": ["a", "b", "c"], "pictures": [[NAN, 1.0], [INF, 1.0], [1.0, 2.0, 3.0]], "at": [1, 2, 3]},
    {"items": ["a", None, "c"], "pictures": [None, [1.0], [NAN, NAN]], "at": [1, 2, 3]},  # an item that is no event
    {"items": ["a", "b"], "pictures": [GOOD, [1.0]], "at": [1, 11]},  # late and bad
    {"items": [], "pictures": [], "at": []},
]
EXPECTED = [
    (["a", "c"], [GOOD, [3.0, 4.0]], [1, 3]),
    ([], [], []),
    (["a", "c"], [None, None], [1, 3]),
    (["a"], [GOOD], [1]),
    ([], [], []),
]
BAD = 1 + 3 + 0 + 1


def _read(problem: Problem, rows: list[dict[str, Any]], as_text: bool) -> tuple[pa.RecordBatch, list[Any], Noticed]:
    pictures = [each["pictures"] for each in rows]
    kind = pa.list_(pa.list_(pa.float64()))
    if as_text:
        kind = pa.list_(pa.string())
        pictures = [[None if v is None else " ".join(map(str, v)) for v in each] for each in pictures]
    table: dict[str, Any] = {
        "user": ["u"] * len(rows),
        "time": [10] * len(rows),
        "item": ["z"] * len(rows),
        "picture": pa.array([GOOD] * len(rows), pa.list_(pa.float64())),
        "click": [1.0] * len(rows),
        "items": pa.array([each["items"] for each in rows], pa.list_(pa.string())),
        "pictures": pa.array(pictures, kind),
        "at": pa.array([each["at"] for each in rows], pa.list_(pa.int64())),
    }
    noticed = Noticed()
    batch = pa.RecordBatch.from_pydict(table)
    found, rejected = canonicalize(problem, batch, 0, np.arange(len(rows)), noticed)
    return found, rejected, noticed


@pytest.mark.parametrize("as_text", [False, True])
def test_an_item_with_a_bad_vector_leaves_all_lists_of_its_row(as_text: bool) -> None:
    found, rejected, noticed = _read(PROBLEM, ROWS, as_text)
    assert rejected == []
    keys = ("seen__item", "seen__picture", SEEN.time_key)
    assert list(zip(*(found.column(key).to_pylist() for key in keys), strict=True)) == EXPECTED
    assert noticed_columns([noticed.counts], BAD_VECTOR) == {"seen": BAD}
    assert noticed_columns([noticed.counts], LATE) == {}


def test_a_row_whose_lists_are_not_equally_long_is_rejected_all_the_same() -> None:
    uneven = {"items": ["a", "b"], "pictures": [[1.0]], "at": [1, 2]}
    found, rejected, noticed = _read(PROBLEM, [uneven, ROWS[0]], False)
    assert [row for row, _ in rejected] == [0]
    assert found.column("seen__item").to_pylist() == [["a", "c"]]
    assert noticed_columns([noticed.counts], BAD_VECTOR) == {"seen": 1}


def test_the_newest_that_are_good_stay() -> None:
    short = replace(PROBLEM, sequences=(replace(SEEN, max_length=2, count_length=2),))
    found, _, _ = _read(short, ROWS[:1], False)
    assert found.column("seen__item").to_pylist() == [["a", "c"]], "a bad event takes no place of a good one"


# === A whole preparation ===


def _prepared(folder: Path, source: str) -> PreparedData:
    """A log in which one picture is too short: of an event in each row's list, or of the second row itself."""
    log = tiny_log()
    rows = log.num_rows
    own: list[Any] = [GOOD] * rows
    if source == "log":
        own[1] = [1.0]
    listed = pa.array([["1|2", "nan|1"]] * rows)
    log = log.append_column("picture", pa.array(own, pa.list_(pa.float64())))
    log = log.append_column("items", pa.array([["i1", "i2"]] * rows)).append_column("pictures", listed)
    seen = SequenceFeature("seen", ("item", "picture"), max_length=4)
    if source == "row":
        seen = replace(seen, source="row", lists=("items", "pictures"), time_gap_buckets=0)
    features = (*tiny_problem().features[:2], VectorFeature("picture", 2))
    return prepare(folder, tiny_problem(features=features, sequences=(seen,)), log=log)


def test_lists_of_the_row_are_counted_in_the_manifest(tmp_path: Path) -> None:
    data = _prepared(tmp_path, "row")
    rows = tiny_log().num_rows
    assert data.manifest["rows_rejected"] == {}
    text = f"sequence 'seen': {rows} events have a vector of another length"
    assert any(text in warning for warning in data.manifest["warnings"]), json.dumps(data.manifest["warnings"])
    features, _ = whole_split(data, "train")
    np.testing.assert_array_equal(np.count_nonzero(features["seen__item"], axis=1), 1)


def test_a_row_of_the_log_is_rejected_and_is_no_event_of_others(tmp_path: Path) -> None:
    data = _prepared(tmp_path, "log")
    assert data.manifest["rows_rejected"] == {"column 'picture' is not 2 numbers long": 1}
    assert sum(data.num_examples(split) for split in ("train", "valid", "test")) == tiny_log().num_rows - 1
