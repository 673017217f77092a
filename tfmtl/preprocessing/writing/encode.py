"""One user bucket's canonical rows to serialized examples, split by split."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.example_spec import GROUP_KEY, LABEL_PREFIX
from tfmtl.data.raw_transform import RawTransform
from tfmtl.data.transform_statistics import OUT_OF_VOCABULARY
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.log_counts import count_days
from tfmtl.preprocessing.writing.example_writer import (
    PackedInts,
    bytes_column,
    float_column,
    int_column,
    int_list_column,
    join_columns,
    pack_ints,
)
from tfmtl.preprocessing.writing.requests import raw_requests
from tfmtl.preprocessing.writing.sequences import Windows, event_windows
from tfmtl.schema import SPLITS, CategoricalFeature, Problem
from tfmtl.tasks import behavior_of

_SLICE_ROWS = 8192
_SLICE_VALUES = 1 << 19  # of lists and sequences; what a slice needs does not grow with a user's history


@dataclass
class EncodedBucket:
    """The records of one bucket and what was counted while making them.

    Attributes:
        counts: counter name -> value; names are paths such as `train/examples`.
        requests: a few examples, of the latest split there is, as raw serving requests with their record.
    """

    counts: dict[str, float]
    requests: list[dict[str, Any]]
    _encoder: "_ExampleEncoder"
    _order: dict[str, np.ndarray]

    def records(self, split: str) -> Iterator[pa.BinaryArray]:
        """Serialized examples in a random order drawn from the seed, a slice of bounded size at a time."""
        order, size = self._order[split], self._encoder.slice_rows
        for start in range(0, len(order), size):
            yield self._encoder.encode(order[start : start + size])


def encode_bucket(
    problem: Problem, transform: RawTransform, table: pa.Table, seed: tuple[int, int], num_requests: int = 0
) -> EncodedBucket:
    """Sorts a bucket and cuts its sequences; its examples are encoded as they are asked for.

    Args:
        problem: `Problem`.
        transform: the fitted `RawTransform`.
        table: canonical rows of all users of the bucket, in any order.
        seed: of the order in which the records are written.
        num_requests: examples to return as raw requests, at most.
    """
    table = _sorted(problem, table)
    examples = np.flatnonzero(table[columns.IS_EXAMPLE].to_numpy())
    encoder = _ExampleEncoder(problem, transform, table, examples)
    splits = table[columns.SPLIT].to_numpy()[examples]
    order = np.random.default_rng(seed).permutation(len(examples))
    latest_first = order[np.argsort(-splits[order], kind="stable")]
    chosen = latest_first[:num_requests]
    requests = raw_requests(problem, table, examples, encoder.windows, encoder.encode(chosen).to_pylist(), chosen)
    return EncodedBucket(
        counts=_count(problem, table, splits, examples, encoder),
        requests=requests,
        _encoder=encoder,
        _order={split: order[splits[order] == index] for index, split in enumerate(SPLITS)},
    )


class _ExampleEncoder:
    """The columns of a sorted bucket as ids and numbers, a value a row, and the examples made of them.

    A value is encoded once, however many windows it is part of.
    """

    def __init__(self, problem: Problem, transform: RawTransform, table: pa.Table, examples: np.ndarray) -> None:
        self._problem = problem
        self._transform = transform
        self._table = table
        self._examples = examples
        self.encoded: dict[str, np.ndarray] = {}
        self._lists: dict[str, tuple[PackedInts, np.ndarray]] = {}
        for feature in problem.features:
            if isinstance(feature, CategoricalFeature) and feature.multi_valued:
                self._lists[feature.name] = _encode_lists(transform, table[feature.name], feature.name, examples)
            else:
                self.encoded[feature.name] = _encode(problem, transform, table, feature.name)
        self.labels = {
            key: pc.fill_null(table[columns.label(key)], float("nan")).to_numpy()[examples]
            for key in problem.label_keys
        }
        self.windows = _windows(problem, table, self.encoded, examples)
        self._events = {
            sequence.column_key(column): pack_ints(self.encoded[column][self.windows[sequence.name].rows])
            for sequence in problem.sequences
            for column in sequence.columns
        }
        self._times = table[columns.TIME].to_numpy() if problem.keys.time else np.empty(0, np.int64)

    @property
    def slice_rows(self) -> int:
        """Examples to encode at once."""
        longest = [int((window.stops - window.starts).max(initial=0)) for window in self.windows.values()]
        return max(1, min(_SLICE_ROWS, _SLICE_VALUES // max([1, *longest])))

    def encode(self, chosen: np.ndarray) -> pa.BinaryArray:
        """Serialized examples; `chosen` are positions among the bucket's examples."""
        rows = self._examples[chosen]
        parts = []
        for feature in self._problem.features:
            if feature.name in self._lists:
                ids, offsets = self._lists[feature.name]
                parts.append(int_list_column(feature.name, ids, offsets[chosen], offsets[chosen + 1]))
            else:
                values = self.encoded[feature.name][rows]
                write = float_column if values.dtype == np.float32 else int_column
                parts.append(write(feature.name, values))
        for sequence in self._problem.sequences:
            window = self.windows[sequence.name]
            starts, stops = window.starts[chosen], window.stops[chosen]
            for column in sequence.columns:
                key = sequence.column_key(column)
                parts.append(int_list_column(key, self._events[key], starts, stops))
            if sequence.time_gap_buckets:
                lengths = stops - starts
                ends = np.cumsum(lengths)
                events = np.arange(lengths.sum()) + np.repeat(starts - ends + lengths, lengths)
                gaps = np.repeat(self._times[rows], lengths) - self._times[window.rows][events]
                ids = pack_ints(self._transform.encode_gap(sequence, gaps).numpy())
                parts.append(int_list_column(sequence.gap_key, ids, ends - lengths, ends))
        for key, labels in self.labels.items():
            parts.append(float_column(LABEL_PREFIX + key, labels[chosen]))
        if self._problem.group_column is not None:
            parts.append(bytes_column(GROUP_KEY, self._table[columns.GROUP].take(pa.array(rows)).combine_chunks()))
        return join_columns(parts)


def _sorted(problem: Problem, table: pa.Table) -> pa.Table:
    """Rows by user, time, file, row: the same whatever the order in which they arrived."""
    keys = [columns.USER] if problem.keys.user else []
    keys += [columns.TIME] if problem.keys.time else []
    return table.combine_chunks().sort_by([(key, "ascending") for key in (*keys, columns.FILE, columns.ROW)])


def _encode(problem: Problem, transform: RawTransform, table: pa.Table, name: str) -> np.ndarray:
    """A single-valued feature of all rows (events need those of other rows, too)."""
    column = table[name]
    if not isinstance(problem.feature(name), CategoricalFeature):
        numbers = pc.fill_null(column, float("nan")).to_numpy()
        return np.asarray(transform.encode(name, numbers).numpy())
    return _encode_text(transform, name, column.combine_chunks())


def _encode_text(transform: RawTransform, name: str, column: pa.Array) -> np.ndarray:
    """Each distinct text is looked up once."""
    coded = column.dictionary_encode()
    values = coded.dictionary.to_numpy(zero_copy_only=False)
    if len(values) == 0:
        return np.zeros(len(column), np.int32)
    ids = np.append(transform.encode(name, values).numpy(), np.int32(0))  # the last one is for missing values
    return np.asarray(ids[pc.fill_null(coded.indices, len(values)).to_numpy()])


def _encode_lists(
    transform: RawTransform, column: pa.ChunkedArray, name: str, examples: np.ndarray
) -> tuple[PackedInts, np.ndarray]:
    """The ids of all examples' lists one after another, and where each example's begin."""
    lists = column.take(pa.array(examples)).combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    ids = _encode_text(transform, name, pc.list_flatten(lists))
    return pack_ints(ids), np.concatenate([[0], np.cumsum(lengths)])


def _windows(
    problem: Problem, table: pa.Table, encoded: dict[str, np.ndarray], examples: np.ndarray
) -> dict[str, Windows]:
    """The events of every sequence and example."""
    if not problem.sequences:
        return {}
    users = table[columns.USER].combine_chunks().dictionary_encode().indices.to_numpy()
    times = table[columns.TIME].to_numpy()
    windows = {}
    for sequence in problem.sequences:
        is_event = table[columns.event(sequence.name)].to_numpy() & (encoded[sequence.columns[0]] != 0)
        windows[sequence.name] = event_windows(users, times, is_event, examples, sequence.max_length)
    return windows


def _count(
    problem: Problem, table: pa.Table, splits: np.ndarray, examples: np.ndarray, encoder: _ExampleEncoder
) -> dict[str, float]:
    counts: dict[str, float] = {"history_only": table.num_rows - len(examples)}
    files, rows_of_each = np.unique(table[columns.FILE].to_numpy(), return_counts=True)
    counts |= {f"file/{file}": count for file, count in zip(files.tolist(), rows_of_each.tolist(), strict=True)}
    if problem.keys.time is not None:
        times = table[columns.TIME].to_numpy()[examples]
        counts |= count_days(times, splits, problem.keys.ticks_per_second)
    for index, split in enumerate(SPLITS):
        rows = splits == index
        counts[f"{split}/examples"] = int(rows.sum())
        for task in problem.tasks:
            labels = {part: encoder.labels[key][rows] for part, key in task.label_keys.items()}
            for what, count in behavior_of(task).label_counts(labels).items():
                counts[f"{split}/{what}/{task.name}"] = count
        for name, values in encoder.encoded.items():
            if isinstance(problem.feature(name), CategoricalFeature):
                ids = values[examples][rows]
                counts[f"{split}/out_of_vocabulary/{name}"] = int((ids == OUT_OF_VOCABULARY).sum())
                counts[f"{split}/missing/{name}"] = int((ids == 0).sum())
    return counts
