"""The preprocessing job, independent of the engine: its steps as plain functions on Arrow batches.

An engine calls them in this order and moves what they return; that is all it has to know of the job:

    find_files ──► read ──► count_times ─merge─► find_cuts            (the log's rows, where splits begin, its end)
                    │                              │
                    ├── rows ──► assign_split ◄────┘
                    │                 ├──► count_values ─merge─► fit  (everything that is fitted, on training rows)
                    │                 │                           │
                    │                 └──► partition ─by bucket─► ShardWriter.write
                    ├── rejected ─by file─► write_rejected        │
                    └── counts ─────────────────────────────────► finish

`merge` may be called on any part of the tables of one key, in any order and as often as the engine likes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.folders import PreparedFolder
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting import analyze, label_windows, settled_labels, split, time_grid
from tfmtl.preprocessing.fitting.hashed_spellings import hashed_spellings, hashed_warnings
from tfmtl.preprocessing.fitting.label_classes import check_examples, one_class_tasks
from tfmtl.preprocessing.fitting.log_counts import count_file, count_log
from tfmtl.preprocessing.fitting.reused_statistics import (
    extend_statistics,
    read_manifest,
    read_statistics,
    reused_facts,
)
from tfmtl.preprocessing.fitting.value_warnings import value_warnings
from tfmtl.preprocessing.reading.canonical import canonicalize
from tfmtl.preprocessing.reading.noticed import Noticed
from tfmtl.preprocessing.reading.read import InputError, check_columns, expand, read_batches
from tfmtl.preprocessing.reading.rejected_rows import rejected_table, write_rejected
from tfmtl.preprocessing.writing import buckets
from tfmtl.preprocessing.writing.fitted_files import write_fitted_files
from tfmtl.preprocessing.writing.manifest import build_manifest
from tfmtl.preprocessing.writing.output_folder import scratch
from tfmtl.preprocessing.writing.pieces import PieceWriter
from tfmtl.preprocessing.writing.shard_writer import Shard, ShardWriter
from tfmtl.preprocessing.writing.split_file import write_split_file
from tfmtl.schema import Problem
from tfmtl.schema.checks import check_count, check_one_of, check_positive_int
from tfmtl.schema.problem_checks import check_new_problem

Counts = Mapping[str, int]
Key = tuple[str, ...]
Files = Sequence[tuple[int, str]]  # number and path
KeyedTables = Mapping[Key, pa.Table]

COMPRESSIONS = {"none": "", "gzip": "GZIP"}  # as TensorFlow calls them
FEW_ROWS = 65_536  # of tables that are held as they came, whatever they add up to
_TIMES: Key = ("times",)
_NEWEST: Key = ("newest",)


def worth_merging(tables: Sequence[pa.Table]) -> bool:
    """Whether an engine should now add up the tables that it holds of one key; the first is the last sum.

    Waiting for as many new rows as the sum has bounds what is held by the number of different values and not by
    the log, and keeps the work of all merges together in proportion to the rows.
    """
    return bool(sum(table.num_rows for table in tables[1:]) >= max(tables[0].num_rows, FEW_ROWS))


@dataclass(frozen=True)
class FoundFiles:
    """The log's files.

    Attributes:
        files: number and path of each.
        warnings: what two of them store differently, for the `warnings` of a plan.
    """

    files: Files
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cuts:
    """The times at which the log is split.

    Attributes:
        times: the first times of validation and test.
        until: by split, the newest time of which its labels may know; empty where no label depends on it.
    """

    times: split.TimeCuts
    until: label_windows.KnownUntil


@dataclass(frozen=True)
class ReadBatch:
    """The result of reading one batch of a file.

    Attributes:
        rows: canonical batch of the good rows; may be empty.
        rejected: table of the others, as `rejected_table` makes it, or `None` without any.
        counts: counter -> value.
    """

    rows: pa.RecordBatch
    rejected: pa.Table | None
    counts: Counts


@dataclass(frozen=True)
class Plan:
    """One run of the job. Nothing it returns depends on the engine or on how rows are spread over workers.

    Args:
        problem: `Problem`.
        directory: str. Everything is written below it.
        num_shards: int. Buckets of users, and TFRecord files per split.
        seed: int. Of the split by user and of the order of records.
        compression: `""` or `"GZIP"`.
        transform_from: str or None. Earlier output whose statistics are used instead of fitting new ones. Only its
            path, because a plan is sent to every worker.
        extend_vocabularies: bool. Whether new values are appended to the reused vocabularies.
        warnings: tuple of str. Warnings from before the job, for the manifest.
        split_file: bool. Whether to write `split.parquet`: which row is in which split.
    """

    problem: Problem
    directory: str
    num_shards: int
    seed: int = 0
    compression: str = ""
    transform_from: str | None = None
    extend_vocabularies: bool = False
    warnings: tuple[str, ...] = ()
    split_file: bool = False

    @classmethod
    def checked(
        cls,
        problem: Problem,
        directory: str,
        num_shards: int,
        seed: int,
        compression: str,
        transform_from: str | None = None,
        extend_vocabularies: bool = False,
        split_file: bool = False,
    ) -> "Plan":
        """A plan from a user's arguments; raises `ValueError` where one is out of range.

        A new problem is held to `check_new_problem`, unless that of an earlier output goes on.
        """
        if transform_from is None:
            check_new_problem(problem)
        check_one_of("preprocess", "compression", compression, list(COMPRESSIONS))
        check_count("preprocess", "seed", seed, "Use 0 or more.")
        check_positive_int("preprocess", "num_shards", num_shards)
        if extend_vocabularies and transform_from is None:
            raise ValueError(
                "preprocess: `extend_vocabularies` goes with `transform_from` only. Say which ones to extend."
            )
        if transform_from is not None:
            read_statistics(problem, transform_from)  # before any work, whether it is there and fits
        packed = COMPRESSIONS[compression]
        return cls(
            problem, directory, num_shards, seed, packed, transform_from, extend_vocabularies, split_file=split_file
        )

    # === Read ===

    def find_files(self, patterns: Sequence[str]) -> FoundFiles:
        """Every input file, its columns checked."""
        paths = expand(patterns)
        uses, numbers = columns.column_uses(self.problem), columns.number_columns(self.problem)
        warnings = check_columns(paths, uses, numbers, self.problem.dialect)
        return FoundFiles(list(enumerate(paths)), tuple(warnings))

    def read(self, number: int, path: str, place: str | None = None) -> Iterator[ReadBatch]:
        """Reads and checks one file, batch by batch; `place` is where it lies, if `path` is not."""
        names = columns.raw_columns(self.problem)
        for raw in read_batches(place or path, names, self.problem.dialect):
            noticed = Noticed()
            rows, reasons = canonicalize(self.problem, raw.rows, number, raw.numbers, noticed)
            rejected = rejected_table(path, raw.numbers, raw.rows, raw.unreadable, reasons)
            counts = {
                "rows": raw.rows.num_rows + len(raw.unreadable),
                **count_log(self.problem, rows),
                **noticed.counts,
            }
            counts |= count_file(number, raw.counts, len(raw.unreadable) + len(reasons))
            yield ReadBatch(rows, rejected, counts)

    # === Split ===

    @property
    def counts_times(self) -> bool:
        """Whether the cuts have to be found in the log."""
        return self.problem.split.needs_time_shares or bool(self._needs_end)

    @property
    def _needs_end(self) -> bool:
        """Whether a label depends on how far the log reaches."""
        return bool(self.problem.late_tasks) or settled_labels.are_settled(self.problem)

    def count_times(self, rows: pa.RecordBatch) -> list[tuple[Key, pa.Table]]:
        """Tables to merge for `find_cuts`."""
        counted = []
        if self.problem.split.needs_time_shares:
            counted.append((_TIMES, split.example_times(rows)))
        if self._needs_end:
            counted.append((_NEWEST, label_windows.newest_time(rows)))
        return counted

    def merge_times(self, tables: Iterable[pa.Table]) -> pa.Table:
        """Adds up tables of `count_times` with one key."""
        return time_grid.merge_time_counts(tables)

    def find_cuts(self, times: KeyedTables) -> Cuts:
        """Where the log is cut; from the merged tables of `count_times` where it `counts_times`."""
        own = self.problem.split
        cuts = own.valid_from or 0, own.test_from or 0
        if own.needs_time_shares:
            cuts = split.time_cuts(own, times.get(_TIMES))
        until = label_windows.known_until(self.problem, times.get(_NEWEST), cuts) if self._needs_end else ()
        return Cuts(cuts, until)

    def assign_split(self, rows: pa.RecordBatch, cuts: Cuts) -> pa.RecordBatch:
        """Adds the split to canonical rows, which of their label windows are open, and what else may be known in it."""
        placed = split.assign_split(self.problem, rows, self.seed, cuts.times)
        marked = label_windows.mark_open(self.problem, placed, cuts.until)
        return settled_labels.settle(self.problem, marked, cuts.until)

    # === Fit ===

    def count_values(self, rows: pa.RecordBatch) -> list[tuple[Key, pa.Table]]:
        """Tables to merge for `fit`, of rows with their split."""
        if self.transform_from is not None and not self.extend_vocabularies:
            return []
        return list(analyze.count_values(self.problem, rows, is_extending=self.transform_from is not None))

    def merge_values(self, tables: Iterable[pa.Table]) -> pa.Table:
        """Adds up tables of `count_values` with one key."""
        return analyze.merge_counts(tables)

    def fit(self, values: KeyedTables) -> TransformStatistics:
        """Everything fitted, from the merged tables of `count_values`; or taken, with what is new in these."""
        counts = {(what, name): table for (what, name), table in values.items()}
        if self.transform_from is None:
            return analyze.build_statistics(self.problem, counts)
        return extend_statistics(self.problem, read_statistics(self.problem, self.transform_from), counts)

    # === Write ===

    def partition(self, rows: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
        """`(bucket, rows)`: a user's rows always share one."""
        return buckets.partition(rows, self.num_shards)

    def piece_writer(self) -> PieceWriter:
        """What keeps the rows of one file in files, for engines that would hold them in memory otherwise."""
        return PieceWriter(scratch(self.directory), self.num_shards)

    def shard_writer(self) -> ShardWriter:
        """What writes the buckets; one object may write many."""
        return ShardWriter(self.problem, self.directory, self.num_shards, self.compression, self.seed, self.split_file)

    def write_rejected(self, number: int, tables: Iterable[pa.Table]) -> Counts:
        """Writes the rejected rows of one file and counts them by reason."""
        return write_rejected(self.directory, number, tables)

    def finish(
        self,
        paths: Sequence[str],
        statistics: TransformStatistics,
        read_counts: Iterable[Counts],
        rejected_counts: Iterable[Counts],
        shards: Iterable[Shard],
    ) -> None:
        """Writes what was fitted, the requests and, last, the manifest.

        Raises:
            InputError: no row is left for training or another split that is asked for, or none of a task's two classes.
        """
        shards, read_counts = sorted(shards, key=lambda shard: int(shard["bucket"])), list(read_counts)
        if self.transform_from is None:
            statistics = label_windows.add_label_moments(self.problem, statistics, shards)
        manifest = build_manifest(
            self.problem, statistics, read_counts, list(rejected_counts), shards, self.seed, paths
        )
        if self.transform_from is not None:
            taken = read_statistics(self.problem, self.transform_from)
            manifest["transform_from"] = reused_facts(self.transform_from, taken, statistics)
        spellings = hashed_spellings(self.problem, read_counts)
        earlier = {} if self.transform_from is None else read_manifest(self.transform_from).get("spellings", {})
        manifest |= {"spellings": spellings} if spellings else {}
        manifest["warnings"] += hashed_warnings(spellings, earlier, self.transform_from)
        manifest["warnings"] += value_warnings(self.problem, manifest, statistics, read_counts)
        manifest["warnings"] += self.warnings
        check_examples(manifest, self.directory)
        split.check_requested_splits(self.problem.split, manifest["splits"])
        one_class = one_class_tasks(self.problem, manifest, read_counts, self.directory)
        if one_class and self.transform_from is None:
            raise InputError(f"preprocess: {' '.join(one_class)}")
        manifest["warnings"] += one_class
        if self.split_file:
            parts = [shard["splits"] for shard in shards]
            manifest["checksums"][PreparedFolder.SPLIT_FILE] = write_split_file(self.directory, paths, parts)
        requests = [request for shard in shards for request in shard["requests"]]
        write_fitted_files(self.directory, self.problem, statistics, requests, manifest)
