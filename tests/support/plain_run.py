"""The preprocessing job without an engine: the plan's functions in plain loops."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from tfmtl.preprocessing.plan import Key, Plan
from tfmtl.schema import Problem


def run_plan(problem: Problem, inputs: Sequence[Path], folder: Path, **options: Any) -> dict[str, Any]:
    """Preprocesses on two shards, as fast as a small log can be, and returns the manifest.

    Args:
        problem: `Problem`.
        inputs: files.
        folder: is made.
        **options: further arguments of `Plan`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(problem, str(folder), **{"num_shards": 2, **options})
    found = plan.find_files([str(path) for path in inputs])
    plan = replace(plan, warnings=found.warnings)
    read = [batch for number, path in found.files for batch in plan.read(number, path)]
    times: dict[Key, list[pa.Table]] = {}
    for batch in read:
        for key, table in plan.count_times(batch.rows):
            times.setdefault(key, []).append(table)
    cuts = plan.find_cuts({key: plan.merge_times(tables) for key, tables in times.items()})
    rows = [plan.assign_split(batch.rows, cuts) for batch in read]
    values: dict[Key, list[pa.Table]] = {}
    for batch in rows:
        for key, table in plan.count_values(batch):
            values.setdefault(key, []).append(table)
    statistics = plan.fit({key: plan.merge_values(tables) for key, tables in values.items()})
    buckets: dict[int, list[pa.RecordBatch]] = {}
    for batch in rows:
        for bucket, part in plan.partition(batch):
            buckets.setdefault(bucket, []).append(part)
    writer = plan.shard_writer()
    shards = [writer.write(bucket, parts, statistics) for bucket, parts in buckets.items()]
    rejected = [
        plan.write_rejected(number, tables)
        for number, _ in found.files
        if (tables := [batch.rejected for batch in read if batch.rejected is not None and number == 0])
    ]
    plan.finish([path for _, path in found.files], statistics, [batch.counts for batch in read], rejected, shards)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest
