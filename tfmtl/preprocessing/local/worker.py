"""What one process does of a plan: files to read, pieces to count, buckets to write."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing.local.merged_tables import MergedTables
from tfmtl.preprocessing.plan import Counts, Cuts, KeyedTables, Plan
from tfmtl.preprocessing.writing.pieces import Piece, read_range
from tfmtl.preprocessing.writing.shard_writer import Shard


class Worker:
    """Does tasks of a plan, one after another, in any order; keeps what it counts until it is asked.

    Args:
        plan: `Plan`.
        names: path -> what the output calls the file. Defaults to none: all are called by their paths.
    """

    def __init__(self, plan: Plan, names: Mapping[str, str] | None = None) -> None:
        self._plan = plan
        self._names = names or {}
        self._times = MergedTables(plan.merge_times)
        self._values = MergedTables(plan.merge_values)
        self._shards = plan.shard_writer()

    def read(self, number: int, path: str) -> tuple[list[Piece], list[Counts], list[Counts]]:
        """Reads one file: its pieces, what was counted, and what was counted of rejected rows."""
        pieces: list[Piece] = []
        counts: list[Counts] = []
        rejected: list[pa.Table] = []
        writer = self._plan.piece_writer()
        for batch in self._plan.read(number, self._names.get(path, path), path):
            self._times.add(self._plan.count_times(batch.rows))
            pieces += writer.add(batch.rows)
            counts.append(batch.counts)
            rejected += [] if batch.rejected is None else [batch.rejected]
        pieces += writer.close()
        return pieces, counts, [self._plan.write_rejected(number, rejected)] if rejected else []

    def times(self) -> KeyedTables:
        """The tables to merge for `find_cuts`, of the files that this worker has read."""
        return self._times.merged()

    def count(self, piece: Piece, cuts: Cuts) -> None:
        """Counts the values of a piece."""
        self._values.add(self._plan.count_values(self._plan.assign_split(piece.rows(), cuts)))

    def values(self) -> KeyedTables:
        """The tables to merge for `fit`, of the pieces that this worker has counted."""
        return self._values.merged()

    def write(self, bucket: int, places: Sequence[Sequence[Any]], cuts: Cuts, statistics: TransformStatistics) -> Shard:
        """Writes a bucket; `places` are `(path of the piece, first byte, byte after the last)`."""
        batches = (self._plan.assign_split(read_range(*where), cuts) for where in places)
        return self._shards.write(bucket, batches, statistics)
