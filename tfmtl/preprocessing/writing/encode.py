"""Encode the canonical rows of a user bucket as serialized examples, split by split."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.example_spec import GROUP_KEY, LABEL_PREFIX, packed_tensors
from tfmtl.data.raw_transform import RawTransform
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.distinct_times import distinct_times
from tfmtl.preprocessing.fitting.log_counts import count_days, names_with_rates
from tfmtl.preprocessing.writing.column_values import encode_column, encode_lists
from tfmtl.preprocessing.writing.derivation import Derivation
from tfmtl.preprocessing.writing.events import Events, event_tensors, row_events
from tfmtl.preprocessing.writing.example_writer import (
    PackedRows,
    bytes_column,
    float_column,
    join_columns,
    list_column,
    pack_ints,
    pack_rows,
    value_column,
    whole_list_column,
)
from tfmtl.preprocessing.writing.requests import raw_requests
from tfmtl.preprocessing.writing.sequences import event_windows
from tfmtl.preprocessing.writing.time_gaps import TimeGaps
from tfmtl.preprocessing.writing.window_views import WindowViews
from tfmtl.schema import SPLITS, Problem, RequestInput, SequenceFeature
from tfmtl.schema.reserved import MISSING_ID, OUT_OF_VOCABULARY
from tfmtl.tasks import behavior_of

_SLICE_ROWS = 8192
_SLICE_VALUES = 1 << 19  # of lists and sequences; what a slice needs does not grow with a user's history
_SLICE_BYTES = 1 << 26  # of pictures


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
    served = encoder.encode(chosen, as_served=True).to_pylist()
    requests = raw_requests(problem, table, examples, encoder.events, served, chosen)
    return EncodedBucket(
        counts=_count(problem, table, splits, examples, encoder),
        requests=requests,
        _encoder=encoder,
        _order={split: order[splits[order] == index] for index, split in enumerate(SPLITS)},
    )


def examples_in_order(
    problem: Problem, transform: RawTransform, table: pa.Table
) -> tuple[pa.Table, np.ndarray, Callable[[np.ndarray], Iterator[tuple[np.ndarray, pa.BinaryArray]]]]:
    """The sorted rows of a bucket, which of them are examples, and a function that encodes some of these.

    Args:
        problem: `Problem`.
        transform: the fitted `RawTransform`.
        table: canonical rows of all users of the bucket, in any order.

    Returns:
        The sorted table; the rows that are examples, int `(m,)`; positions among these -> slices of bounded size, each
        the positions and their serialized examples.
    """
    table = _sorted(problem, table)
    examples = np.flatnonzero(table[columns.IS_EXAMPLE].to_numpy())
    encoder = _ExampleEncoder(problem, transform, table, examples)

    def encode(chosen: np.ndarray) -> Iterator[tuple[np.ndarray, pa.BinaryArray]]:
        for start in range(0, len(chosen), encoder.slice_rows):
            part = chosen[start : start + encoder.slice_rows]
            yield part, encoder.encode(part)

    return table, examples, encode


class _ExampleEncoder:
    """The columns of a sorted bucket as ids and numbers, a value per row, and the examples made of them.

    A value is encoded once, however many windows it is part of.
    """

    def __init__(self, problem: Problem, transform: RawTransform, table: pa.Table, examples: np.ndarray) -> None:
        self._problem = problem
        self._transform = transform
        self._table = table
        self._examples = examples
        self.encoded: dict[str, np.ndarray] = {}
        self._lists: dict[str, tuple[PackedRows, np.ndarray]] = {}
        coded: dict[str, pa.Array] = {}  # columns of texts, whose distinct ones are found once
        self._late: list[tuple[str, RequestInput, pa.Array]] = []  # encoded with the slice that they are written in
        self._late_bytes = 1
        for feature in problem.features:
            sizes = [math.prod(each.inner) for each in feature.tensors(problem) if each.is_bytes]
            self._late_bytes += sum(sizes)
            for given in feature.inputs():
                column = table[given.key].combine_chunks()
                if sizes:
                    self._late.append((feature.name, given, column))
                elif given.is_list:
                    ids, offsets = encode_lists(transform, feature.name, given, column, examples)
                    self._lists[given.key] = pack_ints(ids), offsets
                else:
                    if given.dtype == "string":
                        column = coded[given.key] = column.dictionary_encode()
                    self.encoded |= encode_column(transform, feature.name, given, column)
        self.labels = {
            key: pc.fill_null(table[columns.label(key)], float("nan")).to_numpy()[examples]
            for key in problem.label_keys
        }
        self.events = _events(problem, table, self.encoded, examples)
        self._views = WindowViews(problem, table, examples, self.events, coded)
        self._of_labels = Derivation(problem, transform, only_of_labels=True)
        self._tensors = problem.field_tensors
        self._packed = packed_tensors(problem)
        self._inside = {key for keys in self._packed.values() for key in keys}
        self._derived = self._derive(Derivation(problem, transform))
        self._event_values = {
            sequence.column_key(key): pack_rows(values)
            for sequence in problem.sequences
            for column in sequence.columns
            for key, values in self._event_tensors(sequence, column).items()
        }
        self._event_keys = {
            sequence.name: [each.key for each in sequence.tensors(problem) if each.key != sequence.gap_key]
            for sequence in problem.sequences
        }
        self._widths = {
            sequence.name: max(math.prod(each.inner[1:]) for each in sequence.tensors(problem))
            for sequence in problem.sequences
        }
        times = table[columns.TIME].to_numpy() if problem.keys.time else np.empty(0, np.int64)
        self._gaps = {
            sequence.name: TimeGaps(sequence, problem.keys.ticks_per_second, times, own)
            for sequence in problem.sequences
            if sequence.time_gap_buckets and (own := self.events[sequence.name].times) is not None
        }

    def _event_tensors(self, sequence: SequenceFeature, column: str) -> dict[str, np.ndarray]:
        events = self.events[sequence.name]
        known = self.encoded if events.table is self._table else {}
        return event_tensors(self._problem, self._transform, self._problem.feature(column), events, known)

    def _derive(self, derivation: Derivation) -> dict[str, np.ndarray]:
        """Derived tensors of all examples, those that a record holds side by side put together."""
        derived = derivation.derive(self._views, np.arange(len(self._examples)))
        return {key: values for key, values in derived.items() if key not in self._inside} | {
            name: np.stack([derived[key] for key in keys], axis=1) for name, keys in self._packed.items()
        }

    def _as_served(self, chosen: np.ndarray, derived: dict[str, np.ndarray]) -> None:
        """Puts what requests know of labels into the derived tensors of examples."""
        served = self._of_labels.derive(self._views, chosen, as_served=True)
        derived |= {key: values for key, values in served.items() if key not in self._inside}
        for name, keys in self._packed.items():
            for place, key in enumerate(keys):
                if key in served:
                    derived[name][:, place] = served[key]

    @property
    def slice_rows(self) -> int:
        """Examples to encode at once."""
        longest = [
            min(int((w.stops - w.starts).max(initial=0)), sequence.max_length) * self._widths[sequence.name]
            for sequence in self._problem.sequences
            for w in (self.events[sequence.name].windows,)
        ]
        return max(1, min(_SLICE_ROWS, _SLICE_VALUES // max([1, *longest]), _SLICE_BYTES // self._late_bytes))

    def encode(self, chosen: np.ndarray, as_served: bool = False) -> pa.BinaryArray:
        """Serialized examples; `chosen` are positions among the bucket's. For `as_served` see `WindowViews`."""
        rows = self._examples[chosen]
        parts = []
        derived = {key: values[chosen] for key, values in self._derived.items()}
        if as_served and any(feature.reads_labels for feature in self._problem.features):
            self._as_served(chosen, derived)
        for name, given, column in self._late:
            derived |= encode_column(self._transform, name, given, column.take(pa.array(rows)))
        for tensor in self._tensors:
            if tensor.key in self._inside:
                continue
            if tensor.key in self._lists:
                ids, offsets = self._lists[tensor.key]
                parts.append(list_column(tensor.key, ids, offsets[chosen], offsets[chosen + 1]))
            elif tensor.key in derived:
                parts.append(value_column(tensor.key, derived[tensor.key]))
            else:
                parts.append(value_column(tensor.key, self.encoded[tensor.key][rows]))
        parts += [value_column(name, derived[name]) for name in self._packed]
        for sequence in self._problem.sequences:
            own = self.events[sequence.name]
            stops = own.windows.stops[chosen]
            starts = np.maximum(own.windows.starts[chosen], stops - sequence.max_length)
            for key in self._event_keys[sequence.name]:
                parts.append(list_column(key, self._event_values[key], starts, stops))
            if sequence.name in self._gaps:
                ids = pack_ints(self._gaps[sequence.name].ids(rows, starts, stops))
                parts.append(whole_list_column(sequence.gap_key, ids, stops - starts))
        for key, labels in self.labels.items():
            parts.append(float_column(LABEL_PREFIX + key, labels[chosen]))
        if self._problem.group_column is not None:
            parts.append(bytes_column(GROUP_KEY, self._table[columns.GROUP].take(pa.array(rows)).combine_chunks()))
        return join_columns(parts)


def _sorted(problem: Problem, table: pa.Table) -> pa.Table:
    """Rows by user, time, order, file, row: the same whatever the order in which they arrived."""
    keys = [columns.USER] if problem.keys.user else []
    keys += [columns.TIME] if problem.keys.time else []
    keys += [columns.ORDER] if problem.keys.order else []
    return table.combine_chunks().sort_by([(key, "ascending") for key in (*keys, columns.FILE, columns.ROW)])


def _events(
    problem: Problem, table: pa.Table, encoded: dict[str, np.ndarray], examples: np.ndarray
) -> dict[str, Events]:
    """The events of every sequence and example."""
    events = {each.name: row_events(problem, each, table, examples) for each in problem.sequences if each.lists}
    if len(events) == len(problem.sequences):
        return events
    users = table[columns.USER].combine_chunks().dictionary_encode().indices.to_numpy()
    times = table[columns.TIME].to_numpy()
    moments = distinct_times(table)[1] if columns.ORDER in table.column_names else times
    for sequence in problem.sequences:
        if sequence.name in events:
            continue
        is_event = table[columns.event(sequence.name)].to_numpy() & (encoded[sequence.columns[0]] != MISSING_ID)
        windows = event_windows(users, moments, is_event, examples, sequence.longest_window(problem))
        events[sequence.name] = Events(table, windows, times[windows.rows])
    return events


def _count(
    problem: Problem, table: pa.Table, splits: np.ndarray, examples: np.ndarray, encoder: _ExampleEncoder
) -> dict[str, float]:
    counts: dict[str, float] = {"history_only": table.num_rows - len(examples)}
    rows_of_each = np.bincount(table[columns.FILE].to_numpy())
    counts |= {f"file/{file}": int(rows_of_each[file]) for file in np.flatnonzero(rows_of_each).tolist()}
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
        for name in names_with_rates(problem):
            ids = encoder.encoded[name][examples][rows]
            counts[f"{split}/out_of_vocabulary/{name}"] = int((ids == OUT_OF_VOCABULARY).sum())
            counts[f"{split}/missing/{name}"] = int((ids == MISSING_ID).sum())
    return counts
