"""The kernels as Beam stages: thin shells, one composite transform a stage."""

import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems

from pipelines.preprocess import analyze, columns
from pipelines.preprocess.canonical import canonicalize
from pipelines.preprocess.encode import encode_bucket
from pipelines.preprocess.log_counts import count_log
from pipelines.preprocess.read import read_batches
from pipelines.preprocess.split import TimeCuts, assign_split, merge_time_counts, time_counts, time_cuts
from tfmtl.data.raw_transform import RawTransform
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.schema import Problem

logger = logging.getLogger(__name__)

REJECTED, COUNTS = "rejected", "counts"
NUM_REQUESTS = 64  # real examples kept as raw serving requests, about
_MERGE_AFTER = 32  # tables an accumulator holds before it adds them up


class ReadRows(beam.PTransform):
    """`(file number, path)` to canonical batches; with the outputs `REJECTED` and `COUNTS`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self._problem = problem

    def expand(self, files: beam.PCollection) -> Any:
        parse = beam.ParDo(_ReadFile(self._problem)).with_outputs(REJECTED, COUNTS, main="rows")
        return files | beam.Reshuffle() | parse


class _ReadFile(beam.DoFn):
    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self._problem = problem

    def process(self, element: tuple[int, str]) -> Iterator[Any]:
        file, path = element
        names = columns.raw_columns(self._problem)
        for first_row, batch, unreadable in read_batches(path, names):
            canonical, reasons = canonicalize(self._problem, batch, file, first_row)
            if canonical.num_rows:
                yield canonical
            rejected: list[tuple[Any, ...]] = [(path, line, reason, None) for line, reason in unreadable]
            for row, reason in reasons:
                values = {name: batch.column(name)[row].as_py() for name in names}
                rejected.append((path, first_row + row, reason, values))
            for record in rejected:
                yield beam.pvalue.TaggedOutput(REJECTED, (file, record))
            counts = {"rows": batch.num_rows + len(unreadable), **count_log(self._problem, canonical)}
            yield beam.pvalue.TaggedOutput(COUNTS, counts)


class FindTimeCuts(beam.PTransform):
    """Canonical batches to one `TimeCuts`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self._split = problem.split

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        counts = rows | beam.Map(time_counts) | beam.CombineGlobally(_MergeTables(merge_time_counts))
        return counts | beam.Map(lambda table, split: time_cuts(split, table), self._split)


class FitStatistics(beam.PTransform):
    """Canonical batches with their split to one `TransformStatistics`, in one pass over the data."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self._problem = problem

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        counts = (
            rows
            | beam.FlatMap(lambda batch, problem: analyze.count_values(problem, batch), self._problem)
            | beam.CombinePerKey(_MergeTables(analyze.merge_counts))
        )
        once = rows.pipeline | "one" >> beam.Create([None])
        return once | beam.Map(
            lambda _, tables, problem: analyze.build_statistics(problem, tables),
            beam.pvalue.AsDict(counts),
            self._problem,
        )


class _MergeTables(beam.CombineFn):
    """Adds up tables of counts; exact, so in any order alike."""

    def __init__(self, merge: Any) -> None:
        super().__init__()
        self._merge = merge

    def create_accumulator(self) -> list[pa.Table]:
        return []

    def add_input(self, tables: list[pa.Table], table: pa.Table) -> list[pa.Table]:
        tables = [*tables, table]
        return [self._merge(tables)] if len(tables) >= _MERGE_AFTER else tables

    def merge_accumulators(self, accumulators: Iterable[list[pa.Table]]) -> list[pa.Table]:
        tables = [table for accumulator in accumulators for table in accumulator]
        return [self._merge(tables)] if tables else []

    def extract_output(self, tables: list[pa.Table]) -> pa.Table | None:
        return self._merge(tables) if tables else None


class AssignSplits(beam.PTransform):
    """Adds the split to canonical batches."""

    def __init__(self, problem: Problem, seed: int, cuts: Any) -> None:
        """`cuts` is a `TimeCuts` or a side input of one."""
        super().__init__()
        self._problem = problem
        self._seed = seed
        self._cuts = cuts

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        def assign(batch: pa.RecordBatch, cuts: TimeCuts, problem: Problem, seed: int) -> pa.RecordBatch:
            return assign_split(problem, batch, seed, cuts)

        return rows | beam.Map(assign, self._cuts, self._problem, self._seed)


class WriteShards(beam.PTransform):
    """Canonical batches to TFRecord files, one a user bucket and split; yields what was counted per bucket."""

    def __init__(
        self, problem: Problem, statistics: Any, directory: str, num_shards: int, compression: str, seed: int
    ) -> None:
        super().__init__()
        self._num_shards = num_shards
        self._statistics = statistics
        self._write = _WriteShard(problem, directory, num_shards, compression, seed)

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        return (
            rows
            | beam.FlatMap(_partition, self._num_shards)
            | beam.GroupByKey()
            | beam.ParDo(self._write, self._statistics)
        )


def _partition(batch: pa.RecordBatch, num_shards: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """A batch's rows by bucket: a user's rows always share one."""
    if columns.USER in batch.schema.names:
        coded = batch.column(columns.USER).dictionary_encode()
        users = coded.dictionary.to_numpy(zero_copy_only=False)
        buckets = tf.strings.to_hash_bucket_fast(users, num_shards).numpy()[coded.indices.to_numpy()]
    else:
        buckets = batch.column(columns.ROW).to_numpy() % num_shards
    order = np.argsort(buckets, kind="stable")
    present, starts = np.unique(buckets[order], return_index=True)
    for bucket, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
        yield bucket, batch.take(pa.array(rows))  # not a slice: a pickled slice carries its whole batch


class _WriteShard(beam.DoFn):
    def __init__(self, problem: Problem, directory: str, num_shards: int, compression: str, seed: int) -> None:
        super().__init__()
        self._problem = problem
        self._directory = directory
        self._num_shards = num_shards
        self._compression = compression
        self._seed = seed
        self._transform: RawTransform | None = None

    def process(
        self, element: tuple[int, Iterable[pa.RecordBatch]], statistics: TransformStatistics
    ) -> Iterator[dict[str, Any]]:
        bucket, batches = element
        if self._transform is None:
            with tempfile.TemporaryDirectory(prefix="tfmtl-transform-") as folder:
                statistics.save(folder)
                self._transform = RawTransform(self._problem, folder)  # reads every file now
        table = pa.Table.from_batches(list(batches))
        num_requests = -(-NUM_REQUESTS // self._num_shards)
        encoded = encode_bucket(self._problem, self._transform, table, (self._seed, bucket), num_requests)
        files = {}
        for split, records in encoded.records.items():
            suffix = ".tfrecord.gz" if self._compression == "GZIP" else ".tfrecord"
            name = f"{split}/part-{bucket:05d}-of-{self._num_shards:05d}{suffix}"
            files[name] = {"records": len(records), "bytes": self._write_file(name, records)}
        yield {"bucket": bucket, "counts": encoded.counts, "files": files, "requests": encoded.requests}

    def _write_file(self, name: str, records: Sequence[bytes]) -> int:
        """Writes one file and returns its size; TensorFlow writes locally, Beam puts it where the output lies."""
        with tempfile.NamedTemporaryFile(prefix="tfmtl-shard-") as local:
            with tf.io.TFRecordWriter(local.name, self._compression) as writer:
                for record in records:
                    writer.write(record)
            put(local.name, FileSystems.join(self._directory, *name.split("/")))
            return Path(local.name).stat().st_size


class WriteRejected(beam.PTransform):
    """`(file number, (path, row, reason, values))` to one JSON-lines file per input file with bad rows."""

    def __init__(self, directory: str) -> None:
        super().__init__()
        self._directory = directory

    def expand(self, rejected: beam.PCollection) -> beam.PCollection:
        def write(element: tuple[int, Iterable[Any]], directory: str) -> dict[str, int]:
            file, records = element
            counts: dict[str, int] = {}
            lines = []
            for path, row, reason, values in sorted(records, key=lambda record: (record[1], record[2])):
                record = {"file": path, "row": row, "reason": reason, "values": values}
                lines.append(json.dumps(record, default=_printable))
                kind = reason.split(": ")[0]
                counts[kind] = counts.get(kind, 0) + 1
            with FileSystems.create(FileSystems.join(directory, f"file-{file:05d}.jsonl")) as stream:
                stream.write(("\n".join(lines) + "\n").encode())
            return counts

        return rejected | beam.GroupByKey() | beam.Map(write, self._directory)


def _printable(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def put(local: str | Path, path: str) -> None:
    """Copies a local file to any file system that Beam knows."""
    with open(local, "rb") as source, FileSystems.create(path, compression_type="uncompressed") as target:
        shutil.copyfileobj(source, target)
