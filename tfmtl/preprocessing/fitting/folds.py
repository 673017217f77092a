"""Divide rows into folds, the same however the log is read."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.features.request_view import FOLDS
from tfmtl.preprocessing import columns
from tfmtl.schema import Problem

_KEY = [1, 5]  # of the hash: the split by row has another


def places(rows: pa.RecordBatch | pa.Table) -> pa.Array:
    """`file:row` of every row."""
    file, row = (pc.cast(rows.column(name), pa.string()) for name in (columns.FILE, columns.ROW))
    return pc.binary_join_element_wise(file, row, ":")


def times_or_folds(problem: Problem, rows: pa.RecordBatch | pa.Table) -> np.ndarray:
    """Every row's time in the log's unit, or its fold in a log without times, int64 `(N,)`."""
    if problem.keys.time is None:
        return folds(rows)
    return np.asarray(rows.column(columns.TIME).to_numpy())


def folds(rows: pa.RecordBatch | pa.Table) -> np.ndarray:
    """The fold of every row, int64 `(N,)`."""
    names = places(rows).to_numpy(zero_copy_only=False)
    return np.asarray(tf.strings.to_hash_bucket_strong(names, FOLDS, key=_KEY).numpy())
