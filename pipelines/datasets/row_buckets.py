"""Rows sorted into buckets on disk, so that all rows of a key meet in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa


class RowBuckets:
    """Context manager: `add` batches, leave, then `read` one bucket after the other.

    Memory holds one batch while adding and one bucket while reading; the rows lie on disk, packed.

    Args:
        folder: Path. Created; one file per bucket.
        num_buckets: int.
    """

    def __init__(self, folder: Path, num_buckets: int) -> None:
        folder.mkdir()
        self._paths = [folder / f"{number:04d}.arrow" for number in range(num_buckets)]
        self._writers: dict[int, pa.RecordBatchStreamWriter] = {}

    def __enter__(self) -> "RowBuckets":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def add(self, batch: pa.RecordBatch, keys: np.ndarray) -> None:
        """Puts every row into the bucket `key % num_buckets`; `keys` are integers of at least 0, one per row."""
        buckets = keys % len(self._paths)
        order = np.argsort(buckets, kind="stable")
        present, starts = np.unique(buckets[order], return_index=True)
        for bucket, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
            if bucket not in self._writers:
                options = pa.ipc.IpcWriteOptions(compression="lz4")
                self._writers[bucket] = pa.ipc.new_stream(str(self._paths[bucket]), batch.schema, options=options)
            self._writers[bucket].write_batch(batch.take(pa.array(rows)))

    def read(self) -> Iterator[tuple[int, pa.Table]]:
        """`(bucket, its rows in the order of adding)`; empty buckets are left out."""
        for bucket in sorted(self._writers):
            yield bucket, self.bucket(bucket)

    def bucket(self, number: int) -> pa.Table | None:
        """The rows of one bucket, `None` where there are none."""
        if number not in self._writers:
            return None
        with pa.ipc.open_stream(str(self._paths[number])) as stream:
            return stream.read_all()
