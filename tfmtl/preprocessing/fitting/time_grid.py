"""Counts of times on a grid that is as fine as memory allows.

A table counts floors of times at multiples of its step, 1 at first. Where more than `MOST_TIMES` different ones are
left, the step doubles until they fit. Floors are nested and more times never need a smaller step, so the last step
and the counts do not depend on the order in which tables are added up.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_TIMES = 1 << 20

_SCHEMA = pa.schema([("time", pa.int64()), ("count", pa.int64()), ("step", pa.int64())])


def count_times(times: pa.Array) -> pa.Table:
    """Table `(time, count, step)` of an int64 array, in order of time."""
    ordered = np.sort(times.to_numpy(zero_copy_only=False))  # faster than a hash table: most times differ
    return _added_up(ordered, np.ones(len(ordered), np.int64), 1)


def merge_time_counts(tables: Iterable[pa.Table], most_times: int = MOST_TIMES) -> pa.Table:
    """One table with the counts of equal times added up, in any order.

    Args:
        tables: as `count_times` or this function returns them, one at least.
        most_times: int. Largest number of different times in the result.
    """
    whole = pa.concat_tables(list(tables))
    step = int(pc.max(whole["step"]).as_py() or 1)
    times, counts = whole["time"].to_numpy(), whole["count"].to_numpy()
    order = np.argsort(times)
    merged = _at_step(times[order], counts[order], step)
    while merged.num_rows > most_times:
        step *= 2
        merged = _at_step(merged["time"].to_numpy(), merged["count"].to_numpy(), step)
    return merged


def _at_step(times: np.ndarray, counts: np.ndarray, step: int) -> pa.Table:
    return _added_up(times - times % step if step > 1 else times, counts, step)


def _added_up(times: np.ndarray, counts: np.ndarray, step: int) -> pa.Table:
    """The counts of equal times, which stand side by side."""
    if not len(times):
        return _SCHEMA.empty_table()
    firsts = np.flatnonzero(np.concatenate([[True], times[1:] != times[:-1]]))
    sums = np.add.reduceat(counts, firsts)
    return pa.table([times[firsts], sums, np.full(len(firsts), step, np.int64)], schema=_SCHEMA)
