"""Partition rows into buckets, so that all rows of a user are in one."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.preprocessing import columns


def partition(batch: pa.RecordBatch, num_buckets: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """A batch's rows by bucket: by user, or by row where the log has no users.

    The parts are slices: pickled, each would carry the whole batch; Arrow's own format writes what belongs to them.
    """
    if columns.USER in batch.schema.names:
        coded = batch.column(columns.USER).dictionary_encode()
        users = coded.dictionary.to_numpy(zero_copy_only=False)
        buckets = tf.strings.to_hash_bucket_fast(users, num_buckets).numpy()[coded.indices.to_numpy()]
    else:
        buckets = batch.column(columns.ROW).to_numpy() % num_buckets
    order = np.argsort(buckets, kind="stable")
    ordered = batch.take(pa.array(order))
    present, starts = np.unique(buckets[order], return_index=True)
    for bucket, start, stop in zip(present.tolist(), starts, [*starts[1:], batch.num_rows][: len(starts)], strict=True):
        yield bucket, ordered.slice(start, stop - start)
