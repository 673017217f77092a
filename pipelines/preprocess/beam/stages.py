"""The plan's steps as Beam stages: thin shells, one composite transform a stage."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing.plan import Counts, Cuts, Key, Plan, worth_merging
from tfmtl.preprocessing.writing.pieces import read_range, read_table
from tfmtl.preprocessing.writing.shard_writer import Shard

REJECTED, COUNTS = "rejected", "counts"


class ReadRows(beam.PTransform):
    """`(file number, path)` to `Piece`s of canonical rows; with the outputs `REJECTED` and `COUNTS`."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def expand(self, files: beam.PCollection) -> Any:
        parse = beam.ParDo(_ReadFile(self._plan)).with_outputs(REJECTED, COUNTS, main="pieces")
        return files | beam.Reshuffle() | parse


class _ReadFile(beam.DoFn):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def process(self, element: tuple[int, str]) -> Iterator[Any]:
        number, path = element
        pieces = self._plan.piece_writer()
        for batch in self._plan.read(number, path):
            yield from pieces.add(batch.rows)
            if batch.rejected is not None:
                yield beam.pvalue.TaggedOutput(REJECTED, (number, pieces.put_table(batch.rejected)))
            yield beam.pvalue.TaggedOutput(COUNTS, batch.counts)
        yield from pieces.close()


class CountInto(beam.PTransform):
    """Canonical batches to the one thing that `conclude` makes of the merged tables that `count` returns."""

    def __init__(
        self,
        count: Callable[[pa.RecordBatch], Iterable[tuple[Key, pa.Table]]],
        merge: Callable[[Iterable[pa.Table]], pa.Table],
        conclude: Callable[[Mapping[Key, pa.Table]], Any],
    ) -> None:
        super().__init__()
        self._count = count
        self._merge = merge
        self._conclude = conclude

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        tables = rows | beam.FlatMap(self._count) | beam.CombinePerKey(_MergeTables(self._merge))
        once = rows.pipeline | "one" >> beam.Create([None])
        return once | beam.Map(lambda _, merged, conclude: conclude(merged), beam.pvalue.AsDict(tables), self._conclude)


class _MergeTables(beam.CombineFn):
    """Adds up tables of counts; exact, so in any order alike."""

    def __init__(self, merge: Callable[[Iterable[pa.Table]], pa.Table]) -> None:
        super().__init__()
        self._merge = merge

    def create_accumulator(self) -> list[pa.Table]:
        return []

    def add_input(self, tables: list[pa.Table], table: pa.Table) -> list[pa.Table]:
        tables = [*tables, table]
        return [self._merge(tables)] if worth_merging(tables) else tables

    def merge_accumulators(self, accumulators: Iterable[list[pa.Table]]) -> list[pa.Table]:
        tables = [table for accumulator in accumulators for table in accumulator]
        return [self._merge(tables)] if tables else []

    def extract_output(self, tables: list[pa.Table]) -> pa.Table:
        return self._merge(tables)


class WriteShards(beam.PTransform):
    """`Piece`s to TFRecord files; only names and places in files are shuffled. Yields a `Shard` per bucket."""

    def __init__(self, plan: Plan, cuts: Any, statistics: Any) -> None:
        """`cuts` is a `Cuts` or a side input of one, `statistics` a side input of the `TransformStatistics`."""
        super().__init__()
        self._plan = plan
        self._cuts = cuts
        self._statistics = statistics

    def expand(self, pieces: beam.PCollection) -> beam.PCollection:
        return (
            pieces
            | beam.FlatMap(lambda piece: [(bucket, (piece.path, *places)) for bucket, *places in piece.ranges])
            | beam.GroupByKey()
            | beam.ParDo(_WriteShard(self._plan), self._cuts, self._statistics)
        )


class _WriteShard(beam.DoFn):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        self._writer = plan.shard_writer()

    def process(
        self, element: tuple[int, Iterable[tuple[str, int, int]]], cuts: Cuts, statistics: TransformStatistics
    ) -> Iterator[Shard]:
        bucket, ranges = element
        batches = (self._plan.assign_split(read_range(*where), cuts) for where in ranges)
        yield self._writer.write(bucket, batches, statistics)


class WriteRejected(beam.PTransform):
    """`(file number, path of a table of rejected rows)` to one file per input file; yields what was counted."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def expand(self, rejected: beam.PCollection) -> beam.PCollection:
        def write(element: tuple[int, Iterable[str]], plan: Plan) -> Counts:
            number, paths = element
            return plan.write_rejected(number, map(read_table, paths))

        return rejected | beam.GroupByKey() | beam.Map(write, self._plan)
