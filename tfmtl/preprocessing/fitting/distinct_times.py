"""The distinct times of a log: rows with the same time do not see each other."""

import numpy as np
import pyarrow as pa

from tfmtl.preprocessing import columns


def distinct_times(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The distinct moments, oldest first, and the number of each row's.

    A moment is a time or, with `keys.order`, a time and an order.

    Args:
        table: canonical rows with times.

    Returns:
        int64 `(m,)`, the time of every moment, and int `(n,)`, from 0.
    """
    times = table[columns.TIME].to_numpy()
    if columns.ORDER not in table.column_names:
        distinct, numbers = np.unique(times, return_inverse=True)
        return distinct, numbers
    order = table[columns.ORDER].to_numpy()
    rows = np.lexsort((order, times))
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (times[rows][1:] != times[rows][:-1]) | (order[rows][1:] != order[rows][:-1])
    numbers = np.empty(len(rows), np.int64)
    numbers[rows] = np.cumsum(is_new) - 1
    return times[rows][is_new], numbers
