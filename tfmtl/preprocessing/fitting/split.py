"""Which split each row belongs to."""

import math
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.preprocessing import columns
from tfmtl.schema import Problem, Split

TimeCuts = tuple[int, int]  # first time of the validation split, first time of the test split

_HASH_RANGE = 1_000_000
_TIME_BITS = 24
_NEVER = np.iinfo(np.int64).max


def coarse_times(times: pa.Array) -> pa.Array:
    """Times cut to 24 significant bits, so that counting distinct ones stays small however long the log."""
    values = times.to_numpy(zero_copy_only=False)
    bits = np.frexp(np.abs(values).astype(np.float64))[1]
    shift = np.maximum(bits - _TIME_BITS, 0).astype(np.int64)
    return pa.array((values >> shift) << shift)


def time_counts(batch: pa.RecordBatch) -> pa.Table:
    """Table `(time, count)` of the batch's examples."""
    counted = pc.value_counts(coarse_times(batch.filter(batch.column(columns.IS_EXAMPLE)).column(columns.TIME)))
    return pa.table({"time": counted.field("values"), "count": counted.field("counts")})


def merge_time_counts(tables: Iterable[pa.Table]) -> pa.Table:
    """One table with the counts of equal times added up, in order of time."""
    merged = pa.concat_tables(list(tables))
    summed = merged.group_by("time").aggregate([("count", "sum")]).rename_columns(["time", "count"])
    return summed.sort_by("time")


def time_cuts(split: Split, counts: pa.Table | None) -> TimeCuts:
    """The first times of validation and test that leave them at most their shares, whole times together."""
    if counts is None or counts.num_rows == 0:
        return 0, 0
    times, cumulative = counts["time"].to_numpy(), np.cumsum(counts["count"].to_numpy())
    total = cumulative[-1]
    cuts = []
    for share in (split.valid + split.test, split.test):
        newest = math.floor(total * share + 1e-9)  # so that 0.1 + 0.2 of ten is three
        before = np.searchsorted(cumulative, total - newest, side="left")
        cuts.append(int(times[before + 1]) if before + 1 < len(times) else _NEVER)
    return cuts[0], cuts[1]


def assign_split(problem: Problem, batch: pa.RecordBatch, seed: int, cuts: TimeCuts) -> pa.RecordBatch:
    """Adds the column `columns.SPLIT`; `cuts` matter to a split by time only."""
    split = problem.split
    if split.by == "column":
        return batch
    if split.by == "time":
        times = batch.column(columns.TIME).to_numpy()
        index = np.searchsorted(np.asarray(cuts), times, side="right")
    else:
        names = batch.column(columns.USER) if split.by == "user" else _places(batch)
        hashed = tf.strings.to_hash_bucket_strong(
            names.to_numpy(zero_copy_only=False), _HASH_RANGE, key=[seed, 0]
        ).numpy()
        position = hashed / _HASH_RANGE
        index = np.searchsorted([1.0 - split.valid - split.test, 1.0 - split.test], position, side="right")
    return batch.append_column(columns.SPLIT, pa.array(index.astype(np.int8)))


def _places(batch: pa.RecordBatch) -> pa.Array:
    """`file:row` of every row, the same however the log is read."""
    file, row = (pc.cast(batch.column(name), pa.string()) for name in (columns.FILE, columns.ROW))
    return pc.binary_join_element_wise(file, row, ":")
