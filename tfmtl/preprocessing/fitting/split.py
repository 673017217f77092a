"""Assign each row to a split."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.folds import places
from tfmtl.preprocessing.fitting.time_grid import count_times
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.schema import SPLITS, Problem, Split

TimeCuts = tuple[int, int]  # first time of the validation split, first time of the test split

_HASH_RANGE = 1_000_000
_NEVER = np.iinfo(np.int64).max


def example_times(batch: pa.RecordBatch) -> pa.Table:
    """Table to merge of the times of the batch's examples."""
    return count_times(batch.filter(batch.column(columns.IS_EXAMPLE)).column(columns.TIME))


def time_cuts(split: Split, counts: pa.Table | None) -> TimeCuts:
    """The first times of validation and test, so that each gets at most its share; rows of one time stay together."""
    if counts is None or counts.num_rows == 0:
        return 0, 0
    counts = counts.sort_by("time")
    times, cumulative = counts["time"].to_numpy(), np.cumsum(counts["count"].to_numpy())
    total = cumulative[-1]
    cuts = []
    for share in (split.valid + split.test, split.test):
        newest = math.floor(total * share + 1e-9)  # so that 0.1 + 0.2 of ten is three
        before = np.searchsorted(cumulative, total - newest, side="left")
        cuts.append(int(times[before + 1]) if before + 1 < len(times) else _NEVER)
    return cuts[0], cuts[1]


def check_requested_splits(split: Split, facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises `InputError` if a required split has no example, since nothing could be measured on it.

    Args:
        split: the rule.
        facts: split -> at least its number of `examples`.
    """
    numbers = {name: int(facts[name]["examples"]) for name in SPLITS}
    empty = [name for name in split.requested_splits if not numbers[name]]
    if not empty:
        return
    if split.valid_from is not None:
        advice = "Give times inside the log as `valid_from` and `test_from`; with both alike there is no validation."
    elif split.by == "time":
        advice = (
            "Examples of one time stay together, so the newest ones may be too many for a share: give a larger share, "
            "`valid_from` and `test_from`, or a share of 0 where none is meant."
        )
    else:
        advice = "Give a larger share, or a share of 0 where none is meant."
    raise InputError(
        f"preprocess: `split` must leave examples for every split that it asks for. Received: {numbers}, so nothing "
        f"for {' and '.join(empty)}. {advice}"
    )


def assign_split(problem: Problem, batch: pa.RecordBatch, seed: int, cuts: TimeCuts) -> pa.RecordBatch:
    """Adds the column `columns.SPLIT`; `cuts` matter to a split by time only."""
    split = problem.split
    if split.by == "column":
        return batch
    if split.by == "time":
        times = batch.column(columns.TIME).to_numpy()
        index = np.searchsorted(np.asarray(cuts), times, side="right")
    else:
        names = batch.column(columns.USER) if split.by == "user" else places(batch)
        hashed = tf.strings.to_hash_bucket_strong(
            names.to_numpy(zero_copy_only=False), _HASH_RANGE, key=[seed, 0]
        ).numpy()
        position = hashed / _HASH_RANGE
        index = np.searchsorted([1.0 - split.valid - split.test, 1.0 - split.test], position, side="right")
    return batch.append_column(columns.SPLIT, pa.array(index.astype(np.int8)))
