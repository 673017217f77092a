"""CPU time per row of each stage of the preprocessing job, without an engine.

python -m benchmarks.preprocess.stage_costs
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer

from benchmarks.preprocess.click_log import PROBLEM, write_log
from tfmtl.pipelines.cli.quiet_start import start_tensorflow


def main(rows: int = 250_000) -> None:
    """Prints microseconds of CPU time per row."""
    start_tensorflow()
    import apache_beam.io.filesystems  # noqa: F401  else the first file that is opened pays for the import

    from tfmtl.data.raw_transform import RawTransform
    from tfmtl.preprocessing import columns
    from tfmtl.preprocessing.plan import Plan
    from tfmtl.preprocessing.reading.canonical import canonicalize
    from tfmtl.preprocessing.reading.read import read_batches
    from tfmtl.preprocessing.writing.encode import encode_bucket
    from tfmtl.preprocessing.writing.pieces import read_range
    from tfmtl.schema import SPLITS

    work = Path(__file__).parents[1] / ".work" / "preprocess"
    paths = write_log(work / f"log-{rows}", rows)
    spent: dict[str, float] = {}

    def timed(stage: str, run: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = run()
        spent[stage] = spent.get(stage, 0.0) + time.process_time() - started
        return result

    def merge(tables: Iterable[tuple[Any, pa.Table]], add: Callable[[list[pa.Table]], pa.Table]) -> dict[Any, pa.Table]:
        by_key: dict[Any, list[pa.Table]] = {}
        for key, table in tables:
            by_key.setdefault(key, []).append(table)
        return {key: add(some) for key, some in by_key.items()}

    with tempfile.TemporaryDirectory(dir=work) as folder:
        plan = Plan(PROBLEM, folder, 8)
        pieces = []
        for number, path in enumerate(map(str, paths)):
            raw = timed("read", lambda path=path: list(read_batches(path, columns.raw_columns(PROBLEM))))
            parsed = timed(
                "parse",
                lambda raw=raw, number=number: [canonicalize(PROBLEM, b.rows, number, b.numbers)[0] for b in raw],
            )
            writer = plan.piece_writer()
            pieces += timed("shuffle: write", lambda: [p for b in parsed for p in writer.add(b)] + list(writer.close()))  # noqa: B023
        batches = timed("shuffle: read to count", lambda: [piece.rows() for piece in pieces])
        times = timed("count times", lambda: merge((t for b in batches for t in plan.count_times(b)), plan.merge_times))
        cuts = plan.find_cuts(times)
        batches = [plan.assign_split(batch, cuts) for batch in batches]
        values = timed(
            "count values", lambda: merge((t for b in batches for t in plan.count_values(b)), plan.merge_values)
        )
        statistics = timed("fit (once a run)", lambda: plan.fit(values))
        statistics.save(Path(folder) / "transform")
        transform = timed("load tables (once a worker)", lambda: RawTransform(PROBLEM, Path(folder) / "transform"))
        shards = plan.shard_writer()
        for bucket in range(8):
            places = [(p.path, start, stop) for p in pieces for b, start, stop in p.ranges if b == bucket]
            table = timed(
                "shuffle: read to write",
                lambda places=places: pa.Table.from_batches([plan.assign_split(read_range(*w), cuts) for w in places]),
            )
            encoded = timed(
                "sort, look up, windows",
                lambda table=table, bucket=bucket: encode_bucket(PROBLEM, transform, table, (0, bucket), 8),
            )
            for split in SPLITS:
                slices = timed("encode", lambda encoded=encoded, split=split: list(encoded.records(split)))
                name = f"{split}/part-{bucket:05d}-of-00008.tfrecord"
                timed("write", lambda name=name, slices=slices: shards._write_file(name, slices))
    print("| stage | us a row |\n|---|---:|")
    for stage, seconds in spent.items():
        print(f"| {stage} | {seconds / rows * 1e6:.2f} |")
    print(f"| all | {sum(spent.values()) / rows * 1e6:.2f} |")


if __name__ == "__main__":
    typer.run(main)
