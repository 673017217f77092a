"""Histories that stand in a row's own columns, as they were logged when the row's request was served."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.features import behavior_of
from tfmtl.preprocessing.reading.noticed import Noticed
from tfmtl.preprocessing.reading.raw_columns import RawColumns
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.schema import Problem, SequenceFeature

LATE, NEWEST_FIRST, BAD_VECTOR = "late_events", "newest_first", "bad_vector_events"


def read_row_events(
    problem: Problem,
    sequence: SequenceFeature,
    raw: RawColumns,
    now: pa.Array | None,
    rejections: Rejections,
    noticed: Noticed,
) -> dict[str, pa.Array]:
    """Canonical key -> lists of the events that count: before the row's time, with a first column, the newest.

    A row whose lists are not equally long is rejected. Events that are not strictly before their row's time, or have
    none, are left out and counted; so are events with a bad vector, for which the other events need not go.

    Args:
        problem: `Problem`.
        sequence: of source `"row"`.
        raw: the raw columns.
        now: int64, the rows' times, or `None` where rows have none.
        rejections: where the rows go that cannot be read.
        noticed: where the events that are left out are counted.
    """
    read: dict[str, tuple[pa.Array, np.ndarray]] = {}  # the items and the row of each
    names: list[str] = []
    bad: list[tuple[np.ndarray, np.ndarray]] = []  # whether an item's vector is bad, and the row of each
    for column, name in zip(sequence.columns, sequence.lists, strict=True):
        feature = problem.feature(column)
        [given] = feature.inputs()
        items, rows = raw.items(name, sequence.separator, sequence.format, feature.columns[0])
        read[sequence.column_key(given.key)] = behavior_of(feature, problem).read(items)[given.key], rows
        bad.append((~items.has_good_vectors, rows))
        names.append(name)
    if sequence.times is not None:
        items, rows = raw.items(sequence.times, sequence.separator, sequence.format)
        read[sequence.time_key] = items.times(sequence.times, problem.keys), rows
        names.append(sequence.times)
    is_good = _equally_long(sequence, names, [rows for _, rows in read.values()], rejections)
    aligned = {key: items.filter(pa.array(is_good[rows])) for key, (items, rows) in read.items()}
    rows = next(iter(read.values()))[1]
    rows = rows[is_good[rows]]
    counts = next(iter(aligned.values())).is_valid().to_numpy(zero_copy_only=False)
    has_bad = np.any([is_bad[is_good[own]] for is_bad, own in bad], axis=0)
    noticed.add(BAD_VECTOR, sequence.name, int(np.count_nonzero(counts & has_bad)))
    counts &= ~has_bad
    if sequence.times is not None and now is not None:
        times = aligned[sequence.time_key]
        is_before = pc.fill_null(pc.less(times, now.take(pa.array(rows))), False).to_numpy(zero_copy_only=False)
        noticed.add(LATE, sequence.name, int(np.count_nonzero(counts & ~is_before)))
        counts &= is_before
        noticed.add(NEWEST_FIRST, sequence.name, _falling(times.filter(pa.array(counts)), rows[counts]))
    counts[counts] = _is_newest(rows[counts], sequence.longest_window(problem), rejections.num_rows)
    lengths = np.bincount(rows[counts], minlength=rejections.num_rows)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return {key: pa.ListArray.from_arrays(offsets, items.filter(pa.array(counts))) for key, items in aligned.items()}


def _equally_long(
    sequence: SequenceFeature, names: list[str], rows: list[np.ndarray], rejections: Rejections
) -> np.ndarray[Any, Any]:
    """Bool `(rows,)`: where all lists have one length; the other rows are rejected."""
    first, *others = (np.bincount(each, minlength=rejections.num_rows) for each in rows)
    is_good = np.ones(rejections.num_rows, bool)
    for name, lengths in zip(names[1:], others, strict=True):
        found = pa.array([f"{one} and {other}" for one, other in zip(first.tolist(), lengths.tolist(), strict=True)])
        reason = f"lists of sequence '{sequence.name}' are not equally long, '{names[0]}' and '{name}'"
        rejections.add(first != lengths, reason, found)
        is_good &= first == lengths
    return is_good


def _is_newest(rows: np.ndarray, most: int, num_rows: int) -> np.ndarray[Any, Any]:
    """Bool: the last `most` items of each row."""
    ends = np.cumsum(np.bincount(rows, minlength=num_rows))
    return np.asarray(ends[rows] - np.arange(len(rows)) <= most)


def _falling(times: pa.Array, rows: np.ndarray) -> int:
    """How many rows have an event that is older than the one before it."""
    steps = np.diff(times.to_numpy(zero_copy_only=False))
    return len(np.unique(rows[1:][(steps < 0) & (rows[1:] == rows[:-1])]))
