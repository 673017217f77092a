"""How many rows per second the preprocessing job does, beside tensorflow-transform and plain polars.

    python -m benchmarks.preprocess.throughput

A generated log of ten categorical features of up to 200,000 values, six numbers, two sequences of 50 and three labels,
some 50 rows per user, goes from Parquet to TFRecords. A round runs every side once, one after another, each in its
own process; start-up and imports are not measured, the start of worker processes is. tensorflow-transform does the part
that it can, without sequences, on fewer rows, and its rate is compared. Environments and the log are made on the first
run, in `benchmarks/.work`.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.preprocess.click_log import BUCKETS, PROBLEM, SCALED, VALUES, write_log
from benchmarks.speed.peer_sides import Side, interpreter

ROOT = Path(__file__).parents[2]
WORK = ROOT / "benchmarks" / ".work" / "preprocess"
_POLARS = "polars==2.1.0"


@dataclass(frozen=True)
class Job:
    """One side: a script in `sides/`, its processes, what Beam is told, and what its own environment gets."""

    name: str
    script: str
    workers: int | None = None
    options: tuple[str, ...] = ()
    is_held: bool = False  # to one core
    requirements: tuple[str, ...] = ()
    least: float | None = None  # how many times its rate ours has to be


JOBS = (
    Job("tfmtl", "tfmtl_job.py"),
    Job("tfmtl, held to one core", "tfmtl_job.py", is_held=True),
    Job("tfmtl, 2 processes", "tfmtl_job.py", workers=2),
    Job("tfmtl on Beam", "tfmtl_job.py", options=("--runner=FnApiRunner",)),
    Job(
        "tfmtl on Beam, 2 processes",
        "tfmtl_job.py",
        options=("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
    ),
    Job("tensorflow-transform 1.21", "tft_job.py", requirements=("tensorflow-transform==1.21.0",), least=8.0),
    Job("polars", "polars_job.py", least=0.75),
)


def main(
    rows: int = 1_000_000,
    tft_rows: int = 100_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    only: Annotated[list[str] | None, typer.Option(help="Names of the sides to run; all without it.")] = None,
) -> None:
    """Runs all sides in turn and prints the medians."""
    jobs = [job for job in JOBS if not only or job.name in only]
    sizes = {job.name: tft_rows if job.script == "tft_job.py" else rows for job in jobs}
    logs = {size: write_log(WORK / f"log-{size}", size) for size in set(sizes.values())}
    runs: dict[str, list[dict[str, Any]]] = {job.name: [] for job in jobs}
    for number in range(rounds):
        for job in jobs:
            run = run_job(job, logs[sizes[job.name]], sizes[job.name])
            runs[job.name].append(run)
            print(json.dumps({"side": job.name, "round": number, **run}), flush=True)
    rates = {
        name: {kind: statistics.median(run["rows"] / run[kind] for run in some) for kind in ("wall", "cpu")}
        for name, some in runs.items()
    }
    print("\n| side | rows | rows/s | rows/s of CPU time | tfmtl is | at least |\n|---|---:|---:|---:|---:|---:|")
    missed = False
    for job in jobs:
        rate = rates[job.name]
        times = rates[jobs[0].name]["wall"] / rate["wall"]
        missed |= job.least is not None and times < job.least
        least = f"{job.least:g}" if job.least is not None else ""
        print(
            f"| {job.name} | {sizes[job.name]:,} | {rate['wall']:,.0f} | {rate['cpu']:,.0f} | {times:.2f} | {least} |"
        )
    sys.exit(missed)


def run_job(job: Job, files: list[Path], rows: int) -> dict[str, Any]:
    """One process; its output is removed."""
    output = WORK / "output"
    shutil.rmtree(output, ignore_errors=True)
    task = {
        "files": list(map(str, files)),
        "output": str(output),
        "options": job.options,
        "workers": job.workers,
        "rows": rows,
        "texts": ["user", *VALUES],
        "buckets": BUCKETS,
        "scaled": SCALED,
        "labels": [task.name for task in PROBLEM.tasks],
    }
    python = interpreter(Side(job.name, job.script, requirements=job.requirements), WORK)
    script = Path(__file__).parent / "sides" / job.script
    path = [str(ROOT), str(_polars())] if job.script == "polars_job.py" else [str(ROOT)]
    done = subprocess.run(
        [*(["taskset", "--cpu-list", "0"] if job.is_held else []), str(python), str(script), json.dumps(task)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{job.name} failed:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    shutil.rmtree(output, ignore_errors=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def _polars() -> Path:
    """A folder with polars alone, to be put on the path of the one side that needs it beside TensorFlow."""
    folder = WORK / _POLARS
    if not (folder / "polars").is_dir():
        unfinished = WORK / f"{_POLARS}.partial"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(unfinished), _POLARS]
        subprocess.run(command, check=True)
        unfinished.rename(folder)
    return folder


if __name__ == "__main__":
    typer.run(main)
