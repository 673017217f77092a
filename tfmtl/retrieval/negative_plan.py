"""The preprocessing job with negatives beside the log's rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfmtl.data.raw_transform import RawTransform
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.plan import Counts, FoundFiles, Key, KeyedTables, Plan, ReadBatch
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.writing.manifest import NEGATIVES
from tfmtl.preprocessing.writing.shard_writer import Shard, ShardWriter
from tfmtl.retrieval.negative_draw import NegativeDraw
from tfmtl.retrieval.negative_options import NegativeOptions
from tfmtl.retrieval.retrieval_module import SCORE
from tfmtl.schema import Problem
from tfmtl.schema.keys import ROW_WEIGHT

_NO_FILE = np.iinfo(np.int32).max  # where a row has it as its file, no file has the row


@dataclass(frozen=True, kw_only=True)
class NegativePlan(Plan):
    """A plan that adds negatives to a bucket once labels have been joined, and fits nothing.

    Its `problem` is `logged` with the task of `options` and, with `options.score`, the feature `retrieval`.

    Args:
        logged: `Problem` of the log.
        statistics: `TransformStatistics` of the log.
        retrieval: str. A version that `fit_retrieval` wrote.
        options: `NegativeOptions`.
        first_times: int64 `(items,)`. When each item of the index came up in the log.
        score_moments: mean and standard deviation of the candidates' logits.
    """

    logged: Problem
    statistics: TransformStatistics
    retrieval: str
    options: NegativeOptions
    first_times: npt.NDArray[np.int64]
    score_moments: tuple[float, float]

    @property
    def _of_log(self) -> Plan:
        return Plan(self.logged, self.directory, self.num_shards, self.seed)

    def find_files(self, patterns: Sequence[str]) -> FoundFiles:
        """Every input file, its columns checked."""
        return self._of_log.find_files(patterns)

    def read(self, number: int, path: str, place: str | None = None) -> Iterator[ReadBatch]:
        """Reads one file; what this plan adds to a row is filled in with the negatives."""
        for batch in self._of_log.read(number, path, place):
            rows = batch.rows
            unknown = pa.nulls(rows.num_rows, pa.float32())
            rows = rows.append_column(columns.label(self.options.task), unknown)
            if self.options.score:
                rows = rows.append_column(SCORE, unknown)
            yield replace(batch, rows=rows)

    def count_values(self, rows: pa.RecordBatch) -> list[tuple[Key, pa.Table]]:
        """Nothing: negatives are in no statistic."""
        return []

    def fit(self, values: KeyedTables) -> TransformStatistics:
        """The statistics of the log, and those of what this plan adds."""
        task, mean = self.options.task, 1.0 / (1.0 + self.options.count)
        own = self.statistics
        center, deviation = self.score_moments
        return replace(
            own,
            means={**own.means, SCORE: center} if self.options.score else own.means,
            deviations={**own.deviations, SCORE: deviation} if self.options.score else own.deviations,
            label_means={**own.label_means, task: mean},
            label_deviations={**own.label_deviations, task: (mean * (1.0 - mean)) ** 0.5},
            extends=(*own.extends, own.digest),
        )

    def finish(
        self,
        paths: Sequence[str],
        statistics: TransformStatistics,
        read_counts: Iterable[Counts],
        rejected_counts: Iterable[Counts],
        shards: Iterable[Shard],
    ) -> None:
        """Writes the rest.

        Raises:
            InputError: as a plan without negatives, or there is none.
        """
        shards = list(shards)
        if not any(shard["counts"][NEGATIVES] for shard in shards):
            raise InputError(
                "negatives: retrieval found nothing but what the users took, so there is no negative. Give more "
                "`candidates`, or a log with more items."
            )
        super().finish(paths, statistics, read_counts, rejected_counts, shards)

    def shard_writer(self) -> ShardWriter:
        """What writes the buckets with their negatives."""
        return _NegativeWriter(self)


class _NegativeWriter(ShardWriter):
    def __init__(self, plan: NegativePlan) -> None:
        super().__init__(plan.problem, plan.directory, plan.num_shards, plan.compression, plan.seed)
        self._plan = plan
        self._draw = NegativeDraw(plan.logged, Path(plan.retrieval), plan.options, plan.first_times)
        self._drawn = 0

    def write(self, bucket: int, batches: Iterable[pa.RecordBatch], statistics: TransformStatistics) -> Shard:
        shard = super().write(bucket, batches, statistics)
        return {**shard, "counts": {**shard["counts"], NEGATIVES: self._drawn}}

    def _completed(self, table: pa.Table, transform: RawTransform, bucket: int) -> pa.Table:
        logged, options = self._plan.logged, self._plan.options
        drawn = self._draw.draw(table, transform, (options.seed, bucket))
        self._drawn = drawn.negatives.num_rows
        values: dict[str, Any] = {columns.event(each.name): False for each in logged.sequences if each.source == "log"}
        values |= {columns.later(each.name): False for each in logged.late_tasks}
        values |= {columns.label(key): None for key in logged.label_keys if key != ROW_WEIGHT}
        values |= {columns.label(options.task): 0.0, columns.FILE: _NO_FILE}
        rows = drawn.negatives
        for name, value in values.items():
            rows = _with(rows, name, pa.repeat(pa.scalar(value, rows.schema.field(name).type), rows.num_rows))
        table = _with(drawn.logged, columns.label(options.task), _floats(np.where(np.isnan(drawn.logits), np.nan, 1.0)))
        if options.score:
            table, rows = _with(table, SCORE, _floats(drawn.logits)), _with(rows, SCORE, _floats(drawn.negative_logits))
        return pa.concat_tables([table, rows])


def _with(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def _floats(values: npt.NDArray[np.floating[Any]]) -> pa.Array:
    """Numbers of a column, null where they are NaN."""
    return pa.array(values, pa.float32(), from_pandas=True)
