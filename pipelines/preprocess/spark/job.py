"""The plan's steps on Spark.

A row of the data frames holds a whole Arrow batch as bytes, with what Spark has to know of it. Spark's own row format
would take every value apart and put it together again for each step, and cut the batches anew.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession

from tfmtl.pipelines.preprocess.spark.batch_bytes import from_bytes, to_bytes
from tfmtl.pipelines.preprocess.spark.session import spark_session
from tfmtl.preprocessing.plan import Cuts, Files, Key, Plan, worth_merging
from tfmtl.preprocessing.reading.files import absolute
from tfmtl.preprocessing.reading.read import InputError

_ROWS, _REJECTED, _COUNTS = "rows", "rejected", "counts"
_SCHEMA = "kind string, key string, content binary"

_WORKERS_INPUT_ERROR = re.compile(r"^\S*InputError: (preprocess: .*)$", re.MULTILINE)

CountRows = Callable[[pa.RecordBatch], Iterable[tuple[Key, pa.Table]]]
MergeTables = Callable[[Iterable[pa.Table]], pa.Table]


def run(plan: Plan, files: Files, master: str | None, conf: Mapping[str, str]) -> None:
    """Runs the plan on Spark.

    Raises:
        InputError: a file is not readable to its end.
        RuntimeError: Spark does not start.
        ValueError: this process has a session with another master.
    """
    with spark_session(master, conf) as session:
        _run(plan, files, session)


def _run(plan: Plan, files: Files, session: SparkSession) -> None:
    read = _read(session, plan, files).persist()
    try:
        rows = read.where(read.kind == _ROWS)
        cuts = plan.find_cuts(_count(rows, plan.count_times, plan.merge_times) if plan.counts_times else {})
        values = _count(rows, lambda batch: plan.count_values(plan.assign_split(batch, cuts)), plan.merge_values)
        statistics = plan.fit(values)
        plan.finish(
            [path for _, path in files],
            statistics,
            [json.loads(row.content) for row in read.where(read.kind == _COUNTS).toLocalIterator()],
            [json.loads(row.content) for row in _write_rejected(read.where(read.kind == _REJECTED), plan).collect()],
            [json.loads(row.content) for row in _write_shards(rows, plan, cuts, statistics).toLocalIterator()],
        )
    except PythonException as error:  # a worker can only send the error's text
        found = _WORKERS_INPUT_ERROR.search(str(error))
        if found is None:
            raise
        raise InputError(found[1]) from error
    finally:
        read.unpersist()


def _read(session: SparkSession, plan: Plan, files: Files) -> DataFrame:
    """Every file in a task of its own."""
    places = [absolute(path) for _, path in files]

    def read(indices: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for index in _column(indices, "id"):
            number, path = files[index]
            for batch in plan.read(number, path, places[index]):
                if batch.rows.num_rows:
                    yield _row(_ROWS, number, to_bytes(batch.rows))
                if batch.rejected is not None:
                    yield _row(_REJECTED, number, to_bytes(batch.rejected))
                yield _row(_COUNTS, number, json.dumps(batch.counts).encode())

    return session.range(0, len(files), 1, len(files)).mapInArrow(read, _SCHEMA)


def _count(rows: DataFrame, count: CountRows, merge: MergeTables) -> dict[Key, pa.Table]:
    """The tables that `count` returns, merged by key: first in each task, then over all."""

    def count_part(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tables: dict[Key, list[pa.Table]] = {}
        for content in _column(batches, "content"):
            for key, table in count(from_bytes(content).to_batches()[0]):
                held = tables.setdefault(key, [])
                held.append(table)
                if worth_merging(held):
                    held[:] = [merge(held)]
        for key, held in tables.items():
            yield _row("table", json.dumps(key), to_bytes(merge(held)))

    def merge_parts(key: tuple[pa.Scalar, ...], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        merged = merge(list(map(from_bytes, _column(batches, "content"))))
        yield _row("table", key[0].as_py(), to_bytes(merged))

    counted = rows.mapInArrow(count_part, _SCHEMA).groupBy("key").applyInArrow(merge_parts, _SCHEMA)
    return {tuple(json.loads(row.key)): from_bytes(row.content) for row in counted.collect()}


def _write_shards(rows: DataFrame, plan: Plan, cuts: Cuts, statistics: Any) -> DataFrame:
    """All rows of a bucket meet in one task, which writes them."""
    fitted = rows.sparkSession.sparkContext.broadcast(statistics)
    writer = plan.shard_writer()

    def partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for content in _column(batches, "content"):
            [batch] = from_bytes(content).to_batches()
            for bucket, part in plan.partition(plan.assign_split(batch, cuts)):
                yield _row(_ROWS, bucket, to_bytes(part))

    def write(key: tuple[pa.Scalar, ...], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        bucket = int(key[0].as_py())
        parts = [part for content in _column(batches, "content") for part in from_bytes(content).to_batches()]
        yield _row("shard", bucket, json.dumps(writer.write(bucket, parts, fitted.value)).encode())

    return rows.mapInArrow(partition, _SCHEMA).groupBy("key").applyInArrow(write, _SCHEMA)


def _write_rejected(rejected: DataFrame, plan: Plan) -> DataFrame:
    def write(key: tuple[pa.Scalar, ...], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        number = int(key[0].as_py())
        counts = plan.write_rejected(number, map(from_bytes, _column(batches, "content")))
        yield _row("counts", number, json.dumps(counts).encode())

    return rejected.groupBy("key").applyInArrow(write, _SCHEMA)


def _column(batches: Iterable[pa.RecordBatch], name: str) -> Iterator[Any]:
    """The values of a column, one by one, in however many batches Spark hands them over."""
    for batch in batches:
        for value in batch.column(name):
            yield value.as_py()


def _row(kind: str, key: str | int, content: bytes) -> pa.RecordBatch:
    arrays = [pa.array([kind]), pa.array([str(key)]), pa.array([content], pa.binary())]
    return pa.RecordBatch.from_arrays(arrays, names=["kind", "key", "content"])
