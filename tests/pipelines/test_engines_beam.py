"""Beam, in memory and in processes; the other engines are compared with it."""

from pathlib import Path

import pytest

from tests.support.engines import whole, write_log
from tests.support.small_log import SMALL_PROBLEM, run
from tfmtl.preprocessing.plan import Plan

PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


@pytest.mark.slow
def test_worker_processes(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    run(tmp_path / "memory", log, engine="beam")
    run(tmp_path / "processes", log, beam_options=PROCESSES)
    assert whole(tmp_path / "processes") == whole(tmp_path / "memory")
    assert "rejected/file-00000.jsonl" in whole(tmp_path / "memory")


def test_a_plan_runs_without_an_engine(tmp_path: Path) -> None:
    """The order that the plan's description gives, in plain loops and with files and batches the wrong way round."""
    log = write_log(tmp_path / "log")
    run(tmp_path / "beam", log, engine="beam")
    (tmp_path / "plain").mkdir()
    plan = Plan(SMALL_PROBLEM, str(tmp_path / "plain"), num_shards=3)
    files = plan.find_files([str(log)]).files
    read = [batch for number, path in reversed(files) for batch in plan.read(number, path)]
    times = {key: plan.merge_times([table]) for batch in read[:1] for key, table in plan.count_times(batch.rows)}
    for batch in read[1:]:
        times = {key: plan.merge_times([table, times[key]]) for key, table in plan.count_times(batch.rows)}
    rows = [plan.assign_split(batch.rows, plan.find_cuts(times)) for batch in read]
    counted = [dict(plan.count_values(batch)) for batch in rows]
    statistics = plan.fit({key: plan.merge_values([tables[key] for tables in counted]) for key in counted[0]})
    buckets = [part for batch in rows for part in plan.partition(batch)]
    writer = plan.shard_writer()
    shards = [
        writer.write(bucket, [part for other, part in buckets if other == bucket], statistics) for bucket in (2, 0, 1)
    ]
    rejected = [plan.write_rejected(0, [batch.rejected for batch in read if batch.rejected is not None])]
    plan.finish([path for _, path in files], statistics, [batch.counts for batch in read], rejected, shards)
    assert whole(tmp_path / "plain") == whole(tmp_path / "beam")
