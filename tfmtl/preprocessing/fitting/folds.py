"""Divide rows into folds, the same however the log is read."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.features.request_view import FOLDS
from tfmtl.preprocessing import columns

_KEY = [1, 5]  # of the hash: the split by row has another


def places(rows: pa.RecordBatch | pa.Table) -> pa.Array:
    """`file:row` of every row."""
    file, row = (pc.cast(rows.column(name), pa.string()) for name in (columns.FILE, columns.ROW))
    return pc.binary_join_element_wise(file, row, ":")


def folds(rows: pa.RecordBatch | pa.Table) -> np.ndarray:
    """The fold of every row, int64 `(N,)`."""
    names = places(rows).to_numpy(zero_copy_only=False)
    return np.asarray(tf.strings.to_hash_bucket_strong(names, FOLDS, key=_KEY).numpy())
