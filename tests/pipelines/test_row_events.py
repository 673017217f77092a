"""Histories in a row's own lists: the tensors of other rows' histories, whatever stores the lists."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.odd_rows import EVENTS, ODD_PROBLEM, _text, canonical, fit, logs
from tests.support.slow_history import Row, events_before
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import parse_encoded_examples, raw_signature
from tfmtl.data.raw_transform import RawTransform
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.reading.canonical import canonicalize
from tfmtl.preprocessing.reading.noticed import Noticed, noticed_columns
from tfmtl.preprocessing.reading.row_events import LATE, NEWEST_FIRST
from tfmtl.preprocessing.writing.encode import encode_bucket
from tfmtl.schema import (
    SPLITS,
    BinaryTask,
    CategoricalFeature,
    HistoryFeature,
    Keys,
    MatchFeature,
    NumericFeature,
    Problem,
    ProblemError,
    SequenceFeature,
    Split,
)

ROW_PROBLEM = replace(
    ODD_PROBLEM,
    sequences=tuple(
        replace(
            sequence,
            source="row",
            when=None,
            lists=tuple(f"{sequence.name} {column}" for column in sequence.columns),
            times=f"{sequence.name} times",
            format="json",
        )
        for sequence in ODD_PROBLEM.sequences
    ),
)


# === One log, written both ways ===


def _with_lists(log: Sequence[Row], write: Callable[[list[Any]], Any], later: int) -> list[dict[str, Any]]:
    """Every row with its history in lists: what was logged up to its time, and `later` events that came after."""
    written = []
    for index, row in enumerate(log):
        lists = {}
        for sequence in ROW_PROBLEM.sequences:
            events = [log[i] for i in events_before(log, index, EVENTS[sequence.name])]
            events += [{**row, "ts": row["ts"] + k} for k in range(later)]
            for column, name in zip(sequence.columns, sequence.lists, strict=True):
                lists[name] = write([None if event[column] is None else str(event[column]) for event in events])
            lists[str(sequence.times)] = write([str(event["ts"]) for event in events])
        written.append({**row, "row": str(index), **lists})
    return written


def _canonical_rows(log: Sequence[Row], write: Callable[[list[Any]], Any], later: int) -> list[pa.RecordBatch]:
    arrays = {}
    written = _with_lists(log, write, later)
    listed = {name for sequence in ROW_PROBLEM.sequences for name in sequence.list_columns}
    for name in columns.raw_columns(ROW_PROBLEM):
        values = [row[name] for row in written]
        is_list = name in listed and write is list
        arrays[name] = pa.array(values, pa.list_(pa.string())) if is_list else pa.array(map(_text, values), pa.binary())
    noticed = Noticed()
    batch, rejected = canonicalize(ROW_PROBLEM, pa.RecordBatch.from_pydict(arrays), 0, np.arange(len(log)), noticed)
    assert not rejected
    dropped = noticed_columns([noticed.counts], LATE)
    firsts = {
        s.name: sum(bool(EVENTS[s.name]) and _has(row, s.columns[0]) for row in log) for s in ROW_PROBLEM.sequences
    }
    assert dropped == {name: later * count for name, count in firsts.items() if later * count}
    return [batch]


def _has(row: Row, column: str) -> bool:
    value = row[column]
    return value not in (None, "") and value == value


def _features(problem: Problem, transform: RawTransform, batches: Sequence[pa.RecordBatch]) -> dict[str, np.ndarray]:
    """Encoded tensors, by row."""
    bucket = encode_bucket(problem, transform, pa.Table.from_batches(batches), (0, 0))
    records = [record for split in SPLITS for part in bucket.records(split) for record in part.to_pylist()]
    features, _, groups = parse_encoded_examples(problem, tf.constant(records, tf.string))
    order = np.argsort(groups.numpy().astype(int)) if len(records) else np.empty(0, int)
    return {name: tensor.numpy()[order] for name, tensor in features.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("both")


@settings(deadline=None, derandomize=True, max_examples=25, suppress_health_check=list(HealthCheck))
@given(log=logs, later=st.integers(0, 2), as_text=st.booleans())
def test_one_log_written_both_ways_gives_the_same_tensors(
    folder: Path, log: list[Row], later: int, as_text: bool
) -> None:
    fit(ODD_PROBLEM, canonical(ODD_PROBLEM, log)).save(folder)
    expected = _features(ODD_PROBLEM, RawTransform(ODD_PROBLEM, folder), canonical(ODD_PROBLEM, log))
    rows = _canonical_rows(log, json.dumps if as_text else list, later)
    found = _features(ROW_PROBLEM, RawTransform(ROW_PROBLEM, folder), rows)
    assert set(found) == set(expected)
    assert [name for name in expected if found[name].tobytes() != expected[name].tobytes()] == []


def test_both_take_the_same_requests() -> None:
    assert raw_signature(ROW_PROBLEM) == raw_signature(ODD_PROBLEM)
    assert [each.key for each in ROW_PROBLEM.tensors] == [each.key for each in ODD_PROBLEM.tensors]


# === Files ===

NEWS = Problem(
    "news",
    keys=Keys("reader", "asked", group="list"),
    features=(
        CategoricalFeature("article", side="item"),
        NumericFeature("seconds", "both", buckets=4, side="item"),
        CategoricalFeature("topics", multi_valued=True, separator="+", max_values=2, side="item"),
        HistoryFeature("read", mean=("seconds",)),
        MatchFeature("read", ("article",)),
    ),
    sequences=(
        SequenceFeature(
            "read",
            ("article", "seconds", "topics"),
            max_length=3,
            time_gap_buckets=8,
            source="row",
            lists=("read articles", "read seconds", "read topics"),
            times="read at",
            separator=" ",
        ),
    ),
    tasks=(BinaryTask("click"),),
    split=Split(by="column", column="part"),
)
_DAY = "2024-05-01T"
LOG: list[dict[str, Any]] = [
    {
        "reader": "u", "asked": f"{_DAY}10:00:0{n % 10}", "list": f"l{n // 4}", "article": f"a{n % 5}",
        "seconds": float(n), "topics": "x+y" if n % 2 else "z", "click": n % 2, "part": SPLITS[n % 3 if n > 3 else 0],
        "read articles": [f"a{k % 5}" if k % 4 != 3 else None for k in range(n % 7)],
        "read seconds": [float(k) if k % 3 != 1 else None for k in range(n % 7)],
        "read topics": [None if k % 2 else "x+y" for k in range(n % 7)],
        "read at": [f"{_DAY}09:00:{k:02d}" for k in range(n % 7)],
    }
    for n in range(24)
]  # fmt: skip


def _write(log: Sequence[dict[str, Any]], path: Path) -> Path:
    if path.suffix == ".parquet":
        kinds = {"read articles": pa.string(), "read seconds": pa.float32(), "read topics": pa.string()}
        table = pa.Table.from_pylist(list(log))
        for name, kind in kinds.items():
            table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.list_(kind)))
        times = [[np.datetime64(text, "us") for text in row["read at"]] for row in log]
        at = pa.array([[item.item() for item in row] for row in times], pa.large_list(pa.timestamp("us")))
        pq.write_table(table.set_column(table.schema.get_field_index("read at"), "read at", at), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in log))
    else:
        lines = [list(log[0])]
        for row in log:
            joined = [
                " ".join("" if i is None else str(i) for i in v) if isinstance(v, list) else str(v)
                for v in row.values()
            ]
            lines.append(joined)
        path.write_text("".join("\t".join(line) + "\n" for line in lines))
    return path


def _run(problem: Problem, log: Sequence[dict[str, Any]], folder: Path, name: str) -> PreparedData:
    folder.mkdir(exist_ok=True)
    preprocess(problem, [str(_write(log, folder / name))], str(folder / "data"), num_shards=1)
    return PreparedData(folder / "data")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return _run(NEWS, LOG, tmp_path_factory.mktemp("news"), "log.parquet")


@pytest.mark.parametrize("name", ["log.tsv", "log.jsonl"])
def test_every_format_gives_the_same_records(data: PreparedData, name: str, tmp_path: Path) -> None:
    other = _run(NEWS, LOG, tmp_path, name)
    assert other.statistics == data.statistics
    for split in SPLITS:
        files = [next((each.directory / split).glob("part-*")) for each in (data, other)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_missing_items_shift_nothing_and_the_last_ones_stay(data: PreparedData) -> None:
    requests = {request["features"]["asked"]: request["features"] for request in data.requests()}
    longest = max(requests.values(), key=lambda each: len(each["read__article"]))
    assert longest["read__article"] == [
        "a0",
        "a1",
        "a2",
        "a4",
        "a0",
    ]  # all that derived features read; no article, no event
    assert longest["read__topics"] == [["x", "y"], [], ["x", "y"], ["x", "y"], []]
    np.testing.assert_array_equal(longest["read__seconds"], [0.0, np.nan, 2.0, np.nan, 5.0])
    features, _, _ = next(data.split("train", 50).as_numpy_iterator())
    assert features["read__article"].shape[1] == 3
    assert np.count_nonzero(features["read__article"], axis=1).max() == 3
    vocabulary = data.statistics.vocabularies["article"]
    newest = {vocabulary[row.max() - 2 if row[2] == 0 else row[2] - 2] for row in features["read__article"] if row[0]}
    assert "a0" in newest


def test_items_are_counted_once_an_example_that_reads_them(data: PreparedData) -> None:
    train = [row for row in LOG if row["part"] == "train"]
    expected: dict[str, int] = {}
    for row in train:
        for article in (row["article"], *row["read articles"]):
            if article is not None:
                expected[article] = expected.get(article, 0) + 1
    statistics = data.statistics
    assert (
        dict(zip(statistics.vocabularies["article"], statistics.vocabulary_counts["article"], strict=True)) == expected
    )


def test_rows_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    wrong = [
        {**LOG[5], "read seconds": [1.0]},
        {**LOG[5], "read at": ["yesterday", *LOG[5]["read at"][1:]]},
        {**LOG[5], "read at": LOG[5]["read at"][1:]},
        {**LOG[5], "read seconds": ["fast", *LOG[5]["read seconds"][1:]]},
    ]
    data = _run(NEWS, [*LOG, *wrong], tmp_path, "log.jsonl")
    lines = [
        json.loads(line) for path in (data.directory / "rejected").glob("*") for line in path.read_text().splitlines()
    ]
    assert [line["reason"] for line in sorted(lines, key=lambda line: line["row"])] == [
        "lists of sequence 'read' are not equally long, 'read articles' and 'read seconds': '5 and 1'",
        "an item of column 'read at' is not a number: 'yesterday'",
        "lists of sequence 'read' are not equally long, 'read articles' and 'read at': '5 and 4'",
        "an item of column 'read seconds' is not a number: 'fast'",
    ]
    assert data.manifest["rows_rejected"]["an item of column 'read seconds' is not a number"] == 1


def test_events_that_are_not_before_their_row_are_left_out_and_counted(tmp_path: Path, data: PreparedData) -> None:
    at, newest = LOG[5]["asked"], f"{_DAY}11:00:00"
    late = [
        {**row, "read at": [*row["read at"], at if n == 5 else None if n == 6 else newest]}
        | {name: [*row[name], row[name][0]] for name in ("read articles", "read seconds", "read topics")}
        if row["read at"] and n < 8
        else row
        for n, row in enumerate(LOG)
    ]
    other = _run(NEWS, late, tmp_path, "log.jsonl")
    assert any(
        "sequence 'read': 6 events are not before their row's time, or have none" in w
        for w in other.manifest["warnings"]
    )
    for split in SPLITS:
        files = [next((each.directory / split).glob("part-*")) for each in (data, other)]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert not any("are not before" in warning for warning in data.manifest["warnings"])


def test_lists_that_begin_with_the_newest_event_are_a_warning(tmp_path: Path) -> None:
    lists = ("read articles", "read seconds", "read topics", "read at")
    turned = [{**row, **{name: row[name][::-1] for name in lists}} for row in LOG]
    other = _run(NEWS, turned, tmp_path, "log.jsonl")
    count = sum(len([item for item in row["read articles"] if item]) > 1 for row in LOG)
    assert any(f"the lists of {count} rows do not rise in time" in warning for warning in other.manifest["warnings"])
    assert NEWEST_FIRST not in json.dumps(other.manifest["warnings"])


# === Without times ===

UNTIMED = replace(NEWS, sequences=(replace(NEWS.sequences[0], times=None, time_gap_buckets=24),))


def test_without_times_there_are_no_gaps_and_no_seconds(tmp_path: Path, data: PreparedData) -> None:
    assert UNTIMED.sequences[0].time_gap_buckets == 0
    assert not UNTIMED.needs_time
    keys = {each.key for each in UNTIMED.tensors}
    assert {key for key in {each.key for each in NEWS.tensors} - keys if not key.startswith("read_last")} == {
        "read__gap", "read_newest__id", "read_newest__x", "read_oldest__id", "read_oldest__x",
        "read_match_article_newest__id", "read_match_article_newest__x",
    }  # fmt: skip
    assert not {"read__time", "asked"} & set(raw_signature(UNTIMED))
    other = _run(UNTIMED, LOG, tmp_path, "log.parquet")
    assert other.statistics.vocabularies == data.statistics.vocabularies
    for features, expected in zip(other.split("train", 50), data.split("train", 50), strict=True):
        for key in keys:
            np.testing.assert_array_equal(features[0][key], expected[0][key], err_msg=key)
    assert Problem.from_dict(UNTIMED.to_dict()) == UNTIMED


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"source": "rows"}, "`source` must be one of ['log', 'row']"),
        ({"lists": ("a",)}, "`lists` must name one column of the log for each of `columns`"),
        ({"when": "click == 1"}, "`when` must be left out with `source: row`"),
        ({"times": None}, "`time_gap_buckets` needs `times`"),
        ({"source": "log"}, "`lists` goes with `source: row` only"),
        ({"separator": ""}, "`separator` must not be empty"),
        ({"format": "yaml"}, "`format` must be one of ['text', 'json']"),
    ],
)
def test_keys_that_do_not_go_together(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ProblemError) as error:
        replace(NEWS.sequences[0], **changes)
    assert text in str(error.value)


def test_a_list_must_not_be_a_label() -> None:
    with pytest.raises(ProblemError, match=r"column 'click' is the label of task 'click' and also a list of sequence"):
        replace(NEWS, sequences=(replace(NEWS.sequences[0], lists=("click", "b", "c")),))


def test_times_need_the_time_of_the_row() -> None:
    with pytest.raises(ProblemError, match=r"has `times` and needs `keys.time`"):
        replace(NEWS, keys=Keys(group="list"), features=NEWS.features[:3])


def test_the_example_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "problem_file.md").read_text(encoding="utf-8")
    section = page.split("### Histories as they were logged")[1]
    line, text = (section.split(f"```{kind}\n")[1].split("```")[0] for kind in ("json", "yaml"))
    problem = Problem.from_dict(yaml.safe_load(text))
    row = {name: pa.array([value]) for name, value in json.loads(line).items()}
    batch, rejected = canonicalize(problem, pa.RecordBatch.from_pydict(row), 0, np.arange(1))
    assert not rejected
    assert batch.column("viewed__article")[0].as_py() == ["n3", "n7", "n4"]
    assert batch.column("viewed__topic")[0].as_py() == ["sports", None, "travel"]
