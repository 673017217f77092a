"""Run a plan in this process, without an engine: for data frames, and logs that one machine reads in minutes."""

from collections.abc import Mapping

from tfmtl.preprocessing.merged_tables import MergedTables
from tfmtl.preprocessing.plan import Counts, Files, Plan
from tfmtl.preprocessing.writing.pieces import Piece, read_range


def run(plan: Plan, files: Files, names: Mapping[str, str] | None = None) -> None:
    """Runs the plan; rows lie in temporary files between the steps, so that memory holds one bucket of users.

    Args:
        plan: `Plan`.
        files: number and path of each file.
        names: path -> what the output calls the file. Defaults to `None`: all are called by their paths.

    Raises:
        InputError: a file is not readable to its end, or no row is left for training.
    """
    names = names or {}
    times = MergedTables(plan.merge_times)
    pieces: list[Piece] = []
    counts: list[Counts] = []
    rejected: list[Counts] = []
    for number, path in files:
        writer, bad = plan.piece_writer(), []
        for batch in plan.read(number, names.get(path, path), path):
            times.add(plan.count_times(batch.rows))
            pieces += writer.add(batch.rows)
            counts.append(batch.counts)
            bad += [] if batch.rejected is None else [batch.rejected]
        pieces += writer.close()
        rejected += [plan.write_rejected(number, bad)] if bad else []
    cuts = plan.find_cuts(times.merged())
    values = MergedTables(plan.merge_values)
    for piece in pieces:
        values.add(plan.count_values(plan.assign_split(piece.rows(), cuts)))
    statistics = plan.fit(values.merged())
    places: dict[int, list[tuple[str, int, int]]] = {}
    for piece in pieces:
        for bucket, start, stop in piece.ranges:
            places.setdefault(bucket, []).append((piece.path, start, stop))
    shard_writer = plan.shard_writer()
    shards = [
        shard_writer.write(bucket, (plan.assign_split(read_range(*where), cuts) for where in ranges), statistics)
        for bucket, ranges in sorted(places.items())
    ]
    plan.finish([names.get(path, path) for _, path in files], statistics, counts, rejected, shards)
