"""A problem with every kind of feature, and logs full of odd values for it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from tests.support.pictures import jpeg, png
from tests.support.slow_history import Row, events_before
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.analyze import build_statistics, count_values, merge_counts
from tfmtl.preprocessing.reading.canonical import canonicalize
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    HistoryFeature,
    ImageFeature,
    Keys,
    MatchFeature,
    NumericFeature,
    Problem,
    SequenceFeature,
    SeriesFeature,
    Split,
    TextFeature,
    TimePartFeature,
    VectorFeature,
)

ODD_PROBLEM = Problem(
    "odd",
    keys=Keys("user", "ts", group="row"),
    features=(
        CategoricalFeature("user"),
        CategoricalFeature("item", min_count=2),
        CategoricalFeature("last_item", min_count=2, table="item"),
        CategoricalFeature("related", min_count=2, table="item", multi_valued=True, max_values=2),
        CategoricalFeature("topic", max_size=4),
        CategoricalFeature("words", multi_valued=True, separator="||", max_values=3, hash_buckets=7),
        CategoricalFeature("device", hash_buckets=5),
        CategoricalFeature("never"),
        NumericFeature("price", buckets=6),
        NumericFeature("age", "z_score"),
        NumericFeature("views", "log_z_score"),
        NumericFeature("both", "both"),
        NumericFeature("nothing", "z_score"),
        NumericFeature("void"),
        VectorFeature("picture", 2, "z_score"),
        VectorFeature("taste", 3, "l2", separator=" "),
        SeriesFeature("ranks", 3, "log_z_score", encoder="flat"),
        ImageFeature("photo", 3, 2, filters=(4,)),
        TextFeature("about", max_length=3, max_ngrams=7, buckets=9, min_count=1),
        HistoryFeature("seen", mean=("price",)),
        HistoryFeature("liked"),
        MatchFeature("seen", ("item", "price", "device")),
        MatchFeature("liked", ("user",)),
        HistoryFeature("read", mean=("age", "both"), share_of="seen"),
        TimePartFeature(("hour", "weekday", "day_of_month", "is_weekend"), "America/New_York"),
    ),
    sequences=(
        SequenceFeature("seen", ("item", "price", "device"), max_length=3, time_gap_buckets=6),
        SequenceFeature(
            "liked", ("topic", "user"), when="click == 1 and price >= 0", max_length=2, time_gap_buckets=64
        ),
        SequenceFeature("priced", ("price",), when="topic != 'a'", max_length=4, time_gap_buckets=0),
        SequenceFeature("read", ("device", "words", "related", "age", "both", "views", "taste"), max_length=3),
    ),
    tasks=(BinaryTask("click"),),
    split=Split(by="column", column="part"),
    examples="shown == 1",
)

EVENTS: dict[str, Callable[[Row], bool]] = {
    "seen": lambda row: True,
    "liked": lambda row: row["click"] == 1 and row["price"] is not None and row["price"] >= 0.0,
    "priced": lambda row: bool(row["topic"]) and row["topic"] != "a",
    "read": lambda row: True,
}
"""The sequences' conditions, written by hand."""

PICTURES = [None, b"", png(3, 2), png(9, 5, channels=1), png(1, 1), jpeg(7, 8)]
ODD_TEXTS = [
    "a", "b", "A", " a", "a ", "a|b", "nan", "0", "0.0", "-0", "ä", "a\u0308", "日本語", "🦊🦊", "a" * 300,
    "\x85", "\u2028", "\u2029", "\ufeff", "\x00", "a\x00", "\t", "\x1e", "\x0b", "\x0c",
    "x\ny", "x\r\ny", "x\ry", "\n", "'", '"', "\\", ",",
]  # fmt: skip
ODD_NUMBERS = [
    0.0, -0.0, 1.0, -1.0, 0.1, 1e-45, 1e-40, -1e-38, 16777217.0, 3.4028235e38, 1e39, -1e300, 2.0**53 + 2.0,
    float("inf"), float("-inf"), float("nan"),
]  # fmt: skip

texts = (
    st.none() | st.just("") | st.sampled_from(ODD_TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
)
numbers = st.none() | st.sampled_from(ODD_NUMBERS) | st.floats() | st.integers(-50, 50).map(float)
times = st.integers(0, 5) | st.sampled_from([-7, 59, 60, 61, 3600, 10**6, 2**31, 2**40])


def vectors(size: int, separator: str, has_gaps: bool = False) -> st.SearchStrategy[str | None]:
    """Joined vectors, missing ones among them; or series, which have gaps."""
    held = st.sampled_from([0.0, -0.0, 1e-45, -1e-38, 3.4e38, -3.4e38, 0.1, 5.0]) | st.floats(-50.0, 50.0, width=32)
    held = held | st.just(float("nan")) if has_gaps else held
    found = st.lists(held, min_size=size, max_size=size) | st.just([float("nan")] * size)
    return st.none() | found.map(lambda numbers: separator.join(map(str, numbers)))


def lists(separator: str) -> st.SearchStrategy[str]:
    """Joined lists, empty and over-long ones among them."""
    return st.lists(st.sampled_from(["", "a", "b", "ä", "🦊", "|", "x\ny"]), max_size=6).map(separator.join)


rows = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["u", "v", "日"]),
        "ts": times,
        "item": texts,
        "last_item": texts,
        "related": st.none() | lists("|"),
        "topic": st.none() | st.sampled_from(["a", "b", "c", "d", "e", "f"]),
        "words": st.none() | lists("||"),
        "device": texts,
        "never": st.none(),
        "price": numbers,
        "age": numbers,
        "views": numbers,
        "both": numbers,
        "nothing": st.none(),
        "void": st.none(),
        "picture": vectors(2, "|"),
        "taste": vectors(3, " "),
        "about": texts,
        "photo": st.sampled_from(PICTURES),
        "ranks": vectors(3, "|", has_gaps=True),
        "click": st.sampled_from([None, 0, 1]),
        "part": st.sampled_from(["train", "train", "valid", "test"]),
        "shown": st.sampled_from([1, 1, 0]),
    }
)
logs = st.lists(rows, min_size=1, max_size=30)


def canonical(problem: Problem, log: Sequence[Row], cuts: Sequence[int] = ()) -> list[pa.RecordBatch]:
    """The log as the job sees it: read as text, in batches that begin at `cuts`, parsed."""
    names = columns.raw_columns(problem)
    log = [{**row, "row": str(index)} for index, row in enumerate(log)]
    text = {name: pa.array([_text(row[name]) for row in log], pa.binary()) for name in names}
    whole = pa.RecordBatch.from_pydict(text)
    starts = sorted({0, *(cut for cut in cuts if cut < len(log))})
    batches = []
    for start, stop in zip(starts, [*starts[1:], len(log)], strict=True):
        batch, rejected = canonicalize(problem, whole.slice(start, stop - start), 0, np.arange(start, stop))
        assert not rejected
        batches.append(batch)
    return batches


def _text(value: object) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else str(value).encode()


def fit(problem: Problem, batches: Sequence[pa.RecordBatch]) -> TransformStatistics:
    """What the job would learn from the batches."""
    tables: dict[Any, list[pa.Table]] = {}
    for batch in batches:
        for column, table in count_values(problem, batch):
            tables.setdefault(column, []).append(table)
    return build_statistics(problem, {column: merge_counts(some) for column, some in tables.items()})


def request(problem: Problem, log: Sequence[Row], index: int) -> dict[str, Any]:
    """What a client that knows the log sends to have row `index` scored: whole histories, whole lists, odd values."""
    row = log[index]
    raw = {feature.name: _value(problem, row, feature.name) for feature in problem.features if feature.inputs()}
    for sequence in problem.sequences:
        events = [log[i] for i in events_before(log, index, EVENTS[sequence.name])]
        for column in sequence.columns:
            raw[sequence.column_key(column)] = [_value(problem, event, column) for event in events]
        if sequence.needs_times(problem):
            raw[sequence.time_key] = [event["ts"] for event in events]
    return {**raw, "ts": row["ts"]}


def _value(problem: Problem, row: Row, name: str) -> Any:
    feature, value = problem.feature(name), row[name]
    if isinstance(value, bytes):
        return value
    if isinstance(feature, NumericFeature):
        with np.errstate(over="ignore"):
            return np.float32(np.nan if value is None else value)
    if isinstance(feature, VectorFeature | SeriesFeature):
        return [np.float32(part) for part in value.split(feature.separator)] if value else []
    if getattr(feature, "multi_valued", False):
        return [part.encode() for part in value.split(feature.separator)] if value else []
    return (value or "").encode()


def with_max_length(problem: Problem, length: int) -> Problem:
    """The problem with another length of its sequences: a wrong one for its data."""
    return replace(problem, sequences=tuple(replace(s, max_length=length) for s in problem.sequences))
