"""One user bucket's canonical rows to serialised examples, split by split."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.preprocess import columns
from pipelines.preprocess.example_writer import bytes_column, float_column, int_column, int_list_column, join_columns
from pipelines.preprocess.log_counts import count_days
from pipelines.preprocess.requests import raw_requests
from pipelines.preprocess.sequences import Windows, event_windows
from tfmtl.data.example_spec import GROUP_KEY, LABEL_PREFIX
from tfmtl.data.raw_transform import RawTransform
from tfmtl.schema import SPLITS, CategoricalFeature, Problem

OUT_OF_VOCABULARY = 1


@dataclass
class EncodedBucket:
    """The records of one bucket and what was counted while making them.

    Attributes:
        records: split -> serialised examples in a random order drawn from the seed.
        counts: counter name -> value; names are paths such as `train/examples`.
        requests: a few examples, of the latest split there is, as raw serving requests with their record.
    """

    records: dict[str, list[bytes]]
    counts: dict[str, float]
    requests: list[dict[str, Any]]


def encode_bucket(
    problem: Problem, transform: RawTransform, table: pa.Table, seed: tuple[int, int], num_requests: int = 0
) -> EncodedBucket:
    """Sorts a bucket, cuts its sequences and encodes its examples.

    Args:
        problem: `Problem`.
        transform: the fitted `RawTransform`.
        table: canonical rows of all users of the bucket, in any order.
        seed: of the order in which the records are written.
        num_requests: examples to return as raw requests, at most.
    """
    table = _sorted(problem, table)
    examples = np.flatnonzero(table[columns.IS_EXAMPLE].to_numpy())
    splits = table[columns.SPLIT].to_numpy()[examples]
    encoded = {name: _encode(problem, transform, table, name) for name in _scalar_features(problem)}
    fragments = []
    for feature in problem.features:
        if isinstance(feature, CategoricalFeature) and feature.multi_valued:
            ids, offsets = _encode_lists(transform, table[feature.name], feature.name, examples)
            fragments.append(int_list_column(feature.name, ids, offsets))
        elif encoded[feature.name].dtype == np.float32:
            fragments.append(float_column(feature.name, encoded[feature.name][examples]))
        else:
            fragments.append(int_column(feature.name, encoded[feature.name][examples]))
    windows = _windows(problem, table, encoded, examples)
    fragments += _sequence_fragments(problem, transform, table, encoded, examples, windows)
    labels = {}
    for task in problem.tasks:
        column = table[columns.label(task.name)].take(pa.array(examples))
        labels[task.name] = pc.fill_null(column, float("nan")).to_numpy()
        fragments.append(float_column(LABEL_PREFIX + task.name, labels[task.name]))
    if problem.group_column is not None:
        fragments.append(bytes_column(GROUP_KEY, table[columns.GROUP].take(pa.array(examples)).to_pylist()))
    serialized = join_columns(fragments)
    order = np.random.default_rng(seed).permutation(len(serialized))
    records = {
        split: [serialized[i] for i in order[splits[order] == index].tolist()] for index, split in enumerate(SPLITS)
    }
    latest_first = order[np.argsort(-splits[order], kind="stable")]
    requests = raw_requests(problem, table, examples, windows, serialized, latest_first[:num_requests].tolist())
    return EncodedBucket(records, _count(problem, table, splits, examples, labels, encoded), requests)


def _sorted(problem: Problem, table: pa.Table) -> pa.Table:
    """Rows by user, time, file, row: the same whatever the order in which they arrived."""
    keys = [columns.USER] if problem.keys.user else []
    keys += [columns.TIME] if problem.keys.time else []
    return table.combine_chunks().sort_by([(key, "ascending") for key in (*keys, columns.FILE, columns.ROW)])


def _scalar_features(problem: Problem) -> list[str]:
    return [f.name for f in problem.features if not (isinstance(f, CategoricalFeature) and f.multi_valued)]


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
) -> tuple[np.ndarray, np.ndarray]:
    lists = column.take(pa.array(examples)).combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    ids = _encode_text(transform, name, pc.list_flatten(lists))
    return ids, np.concatenate([[0], np.cumsum(lengths)])


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


def _sequence_fragments(
    problem: Problem,
    transform: RawTransform,
    table: pa.Table,
    encoded: dict[str, np.ndarray],
    examples: np.ndarray,
    windows: dict[str, Windows],
) -> list[list[bytes]]:
    fragments = []
    for sequence in problem.sequences:
        window = windows[sequence.name]
        for column in sequence.columns:
            ids = encoded[column][window.rows]
            fragments.append(int_list_column(sequence.column_key(column), ids, window.offsets))
        if sequence.time_gap_buckets:
            times = table[columns.TIME].to_numpy()
            now = np.repeat(times[examples], np.diff(window.offsets))
            gaps = transform.encode_gap(sequence, now - times[window.rows]).numpy()
            fragments.append(int_list_column(sequence.gap_key, gaps, window.offsets))
    return fragments


def _count(
    problem: Problem,
    table: pa.Table,
    splits: np.ndarray,
    examples: np.ndarray,
    labels: dict[str, np.ndarray],
    encoded: dict[str, np.ndarray],
) -> dict[str, float]:
    counts: dict[str, float] = {"history_only": table.num_rows - len(examples)}
    if problem.keys.time is not None:
        times = table[columns.TIME].to_numpy()[examples]
        counts |= count_days(times, splits, problem.keys.ticks_per_second)
    for index, split in enumerate(SPLITS):
        rows = splits == index
        counts[f"{split}/examples"] = int(rows.sum())
        for task, values in labels.items():
            present = values[rows & ~np.isnan(values)]
            counts[f"{split}/labels/{task}"] = len(present)
            counts[f"{split}/label_sum/{task}"] = float(present.astype(np.float64).sum())
        for name, values in encoded.items():
            if isinstance(problem.feature(name), CategoricalFeature):
                ids = values[examples][rows]
                counts[f"{split}/out_of_vocabulary/{name}"] = int((ids == OUT_OF_VOCABULARY).sum())
                counts[f"{split}/missing/{name}"] = int((ids == 0).sum())
    return counts
