"""Write buckets of users as TFRecord files."""

import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import tensorflow as tf

from tfmtl.core.checksum import file_checksum
from tfmtl.data.raw_transform import RawTransform
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.folders import PreparedFolder
from tfmtl.preprocessing.fitting.label_windows import join_labels
from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.writing.encode import encode_bucket
from tfmtl.preprocessing.writing.output_folder import scratch
from tfmtl.preprocessing.writing.split_file import write_part
from tfmtl.schema import SPLITS, Problem

NUM_REQUESTS = 64  # real examples kept as raw serving requests, about

Shard = Mapping[str, Any]  # what was written and counted of a bucket, as plain JSON values


class ShardWriter:
    """Writes one file per bucket and split.

    Args:
        problem: `Problem`.
        directory: str. The files go to `<split>/` below it.
        num_shards: int. Buckets there are.
        compression: `""` or `"GZIP"`.
        seed: int. Of the order of records.
        split_file: bool. Whether to write which row is in which split. Defaults to `False`.
    """

    def __init__(
        self,
        problem: Problem,
        directory: str,
        num_shards: int,
        compression: str,
        seed: int,
        split_file: bool = False,
    ) -> None:
        self._problem = problem
        self._directory = directory
        self._num_shards = num_shards
        self._compression = compression
        self._seed = seed
        self._split_file = split_file
        self._transform: RawTransform | None = None

    def write(self, bucket: int, batches: Iterable[pa.RecordBatch], statistics: TransformStatistics) -> Shard:
        """Writes all rows of a bucket, which may come in any order and batches.

        Args:
            bucket: int.
            batches: canonical rows with their split.
            statistics: the same in every call.
        """
        if self._transform is None:
            with tempfile.TemporaryDirectory(prefix="tfmtl-transform-") as folder:
                statistics.save_vocabularies(folder)
                self._transform = RawTransform(self._problem, folder, statistics=statistics)  # reads every file now
        table, undecided = join_labels(self._problem, pa.Table.from_batches(list(batches)))
        splits = write_part(self._problem, self._directory, bucket, table) if self._split_file else None
        table = self._completed(table, self._transform, bucket)
        num_requests = -(-NUM_REQUESTS // self._num_shards)
        encoded = encode_bucket(self._problem, self._transform, table, (self._seed, bucket), num_requests)
        written, checksums = {}, {}
        for split in SPLITS:
            name = PreparedFolder.record_file(split, bucket, self._num_shards, self._compression == "GZIP")
            size, checksums[name] = self._write_file(name, encoded.records(split))
            written[name] = {"records": encoded.counts[f"{split}/examples"], "bytes": size}
        return {
            "bucket": bucket,
            "counts": {**encoded.counts, **undecided},
            "files": written,
            "checksums": checksums,
            "requests": encoded.requests,
            "splits": splits,
        }

    def _completed(self, table: pa.Table, transform: RawTransform, bucket: int) -> pa.Table:
        """A bucket's rows with those that the log does not have; here none."""
        return table

    def _write_file(self, name: str, slices: Iterable[pa.BinaryArray]) -> tuple[int, str]:
        """Writes one file and returns its size and checksum."""
        with files.local_target(files.join(self._directory, *name.split("/")), scratch(self._directory)) as local:
            with tf.io.TFRecordWriter(str(local), self._compression) as writer:
                for records in slices:
                    for record in records.to_pylist():
                        writer.write(record)
            return local.stat().st_size, file_checksum(local)
