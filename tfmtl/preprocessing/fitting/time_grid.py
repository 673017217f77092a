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
    """Table `(time, count, step)` of an int64 array."""
    counted = pc.value_counts(times)
    return _with_step(counted.field("values"), counted.field("counts"), 1)


def merge_time_counts(tables: Iterable[pa.Table], most_times: int = MOST_TIMES) -> pa.Table:
    """One table with the counts of equal times added up, in any order.

    Args:
        tables: as `count_times` or this function returns them, one at least.
        most_times: int. Different times that may be left.
    """
    whole = pa.concat_tables(list(tables))
    step = int(pc.max(whole["step"]).as_py() or 1)
    merged = _at_step(whole, step)
    while merged.num_rows > most_times:
        step *= 2
        merged = _at_step(merged, step)
    return merged


def _at_step(table: pa.Table, step: int) -> pa.Table:
    times = table["time"].to_numpy()
    floors = pa.table({"time": times - times % step if step > 1 else times, "count": table["count"]})
    summed = floors.group_by("time").aggregate([("count", "sum")])
    return _with_step(summed["time"], summed["count_sum"], step)


def _with_step(times: pa.Array, counts: pa.Array, step: int) -> pa.Table:
    return pa.table([times, counts, pa.array(np.full(len(times), step), pa.int64())], schema=_SCHEMA)
