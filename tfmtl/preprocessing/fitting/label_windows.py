"""Label windows: labels from later events of the same user, missing while the window is open."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features.number_facts import moments
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.distinct_times import distinct_times
from tfmtl.preprocessing.fitting.split import TimeCuts
from tfmtl.preprocessing.fitting.time_grid import count_times
from tfmtl.schema import SPLITS, Problem, TaskRecord

KnownUntil = tuple[int, ...]  # by split: the newest time of which a label of it may know

_LATEST = np.iinfo(np.int64).max


def newest_time(batch: pa.RecordBatch) -> pa.Table:
    """The largest time of a batch, as a table to merge like those of `time_grid`; it keeps one per batch at most."""
    newest = pc.max(batch.column(columns.TIME)).as_py()
    return count_times(pa.array([] if newest is None else [newest], pa.int64()))


def known_until(problem: Problem, newest: pa.Table | None, cuts: TimeCuts) -> KnownUntil:
    """The time up to which events count for the labels of each split.

    In a split by time that is the last moment before the next split begins: a model trained then would know no more.

    Args:
        problem: `Problem`.
        newest: merged tables of `newest_time`, `None` without rows.
        cuts: pair of int. First times of validation and test; used in a split by time only.
    """
    end = int(pc.max(newest["time"]).as_py() or 0) if newest is not None else 0
    if problem.split.by != "time":
        return (end,) * len(SPLITS)
    return (min(end, cuts[0] - 1), min(end, cuts[1] - 1), end)


def mark_open(problem: Problem, batch: pa.RecordBatch, until: KnownUntil) -> pa.RecordBatch:
    """Adds a column for every late task: whether the row's window ends after what may be known of in its split."""
    if not problem.late_tasks:
        return batch
    limits = np.asarray(until)[batch.column(columns.SPLIT).to_numpy()]
    for task in problem.late_tasks:
        ends = _window_ends(problem, task, batch.column(columns.TIME).to_numpy())
        batch = batch.append_column(columns.still_open(task.name), pa.array(ends > limits))
    return batch


def join_labels(problem: Problem, table: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Gives every late task its labels.

    Args:
        problem: `Problem`.
        table: canonical rows with their split and open windows, in any order: all rows of every user in it. A late
            task's label column holds a value where the row counts for the task and null elsewhere.

    Returns:
        The table with labels 1, 0 or null (not counted, or still open), and `<split>/undecided/<task>` -> examples
        that count but whose window is still open.
    """
    counts: dict[str, int] = {}
    if not problem.late_tasks:
        return table, counts
    table = table.combine_chunks()
    users = _codes(table[columns.USER])
    times = table[columns.TIME].to_numpy()
    is_example = table[columns.IS_EXAMPLE].to_numpy()
    splits = table[columns.SPLIT].to_numpy()
    labels = {}
    for task in problem.late_tasks:
        window = task.late_window
        assert window is not None
        groups, matches = users, np.ones(len(times), bool)
        if window.same is not None:
            same = table[columns.match(problem, window.same)]
            groups, matches = _pairs(users, _codes(same)), pc.is_valid(same).to_numpy()
        is_event = table[columns.later(task.name)].to_numpy() & matches
        happens = follows_within(groups, distinct_times(table), _window_ends(problem, task, times), is_event)
        counted = pc.is_valid(table[columns.label(task.name)]).to_numpy() & matches
        decided = ~table[columns.still_open(task.name)].to_numpy()
        for index, split in enumerate(SPLITS):
            undecided = is_example & counted & ~decided & (splits == index)
            counts[f"{split}/undecided/{task.name}"] = int(undecided.sum())
        labels[task.name] = np.where(counted & decided, happens.astype(np.float32), np.float32(np.nan))
    for task in problem.late_tasks:
        credited = _without_other_parents(problem, task, table, labels)
        name = columns.label(task.name)
        column = pa.array(credited, pa.float32(), from_pandas=True)  # NaN becomes null
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table, counts


def follows_within(
    groups: np.ndarray, moments_of_log: tuple[np.ndarray, np.ndarray], ends: np.ndarray, is_event: np.ndarray
) -> np.ndarray:
    """Whether an event of the row's own group follows it: at a later moment, and not after its end.

    Args:
        groups: int `(n,)`, from 0: the user, or the user and item, of each row. Rows in any order.
        moments_of_log: as `distinct_times` returns them.
        ends: int `(n,)`, the last times of the rows' windows, not before their own.
        is_event: bool `(n,)`.

    Returns:
        bool `(n,)`.
    """
    times, ranks = moments_of_log
    last_ranks = np.searchsorted(times, ends, side="right") - 1  # of the last moment inside the window
    first_keys = groups.astype(np.int64) * len(times)
    events = np.sort((first_keys + ranks)[is_event])
    return np.asarray(
        np.searchsorted(events, first_keys + last_ranks, side="right")
        > np.searchsorted(events, first_keys + ranks, side="right")
    )


def add_label_moments(
    problem: Problem, statistics: TransformStatistics, shards: Iterable[Mapping[str, Any]]
) -> TransformStatistics:
    """The statistics with means and deviations of the late tasks' training labels, as the buckets counted them."""
    means, deviations = dict(statistics.label_means), dict(statistics.label_deviations)
    shards = list(shards)
    for task in problem.late_tasks:
        labels, positives = (
            sum(int(shard["counts"][f"train/{what}/{task.name}"]) for shard in shards)
            for what in ("labels", "label_sum")
        )
        weights = np.array([labels - positives, positives])
        means[task.name], deviations[task.name] = moments(np.array([0.0, 1.0])[weights > 0], weights[weights > 0])
    return replace(statistics, label_means=means, label_deviations=deviations)


def _window_ends(problem: Problem, task: TaskRecord, times: np.ndarray) -> np.ndarray:
    """The last moments of a late task's windows, int64 `(n,)`."""
    assert task.late_window is not None  # that is what makes a task late
    ticks = task.late_window.ticks(problem.keys.ticks_per_second)
    return np.asarray(np.minimum(times, _LATEST - ticks) + ticks)


def _codes(values: pa.ChunkedArray) -> np.ndarray:
    """Equal values as equal numbers from 0; the missing value as one of its own."""
    coded = values.combine_chunks().dictionary_encode()
    return np.asarray(pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy(), np.int64)


def _pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A number from 0 for every pair that occurs."""
    _, pairs = np.unique(first * (second.max(initial=0) + 1) + second, return_inverse=True)
    return np.asarray(pairs)


def _without_other_parents(
    problem: Problem, task: TaskRecord, table: pa.Table, labels: Mapping[str, np.ndarray]
) -> np.ndarray:
    """A task's labels, 0 where an ancestor's label is 0: what follows is then not this example's doing."""
    own = labels[task.name]
    parent = task.parent
    while parent is not None:
        above = labels.get(parent)
        if above is None:
            above = pc.fill_null(table[columns.label(parent)], float("nan")).to_numpy()
        own = np.where(~np.isnan(own) & (above == 0.0), np.float32(0.0), own)
        parent = problem.task(parent).parent
    return own
