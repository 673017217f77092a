"""Every step from a log to an answered request, as the log grows.

    python -m benchmarks.scale.steps --rows 1000000 [--only preprocess]
    python -m benchmarks.scale.steps --table

A step is a command of `tfmtl` in processes of its own; each run is a line of JSON in `docs/results/scale.jsonl`, so
that the steps of a large log can be run one by one. `--table` prints what stands there, and how it grows from one size
to the next. The log and all outputs lie in `benchmarks/.work/scale`.
"""

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.scale.big_log import write_log
from benchmarks.scale.measured_process import folder_mib, run_measured

ROOT = Path(__file__).parents[2]
WORK = ROOT / "benchmarks" / ".work" / "scale"
RESULTS = ROOT / "docs" / "results" / "scale.jsonl"
CLI = [sys.executable, "-m", "tfmtl.pipelines.cli"]


def commands(work: Path, steps: int) -> dict[str, tuple[list[str], Path]]:
    """Step -> its command, and the folder that it writes; training takes so many steps."""
    log, data, run, model = (work / name for name in ("log", "data", "run", "model"))
    return {
        "preprocess": ([*CLI, "preprocess", str(log), "--output", str(data)], data),
        "train": ([sys.executable, "-m", "benchmarks.scale.train_side", str(data), str(run), str(steps)], run),
        "export": ([*CLI, "export", str(run), "--output", str(model)], model),
        "rank": ([sys.executable, "-m", "benchmarks.serving.rank", str(model / "1"), "500"], model),
    }


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Sizes of the log.")] = None,
    only: Annotated[str, typer.Option(help="One of preprocess, train, export, rank; all without it.")] = "",
    steps: Annotated[int, typer.Option(help="Of training, with 1,024 examples each.")] = 400,
    work: Annotated[Path, typer.Option(help="Where the log and all outputs lie.")] = WORK,
    table: Annotated[bool, typer.Option(help="Print what has been measured, and measure nothing.")] = False,
) -> None:
    """Runs the steps on each size, or prints the table."""
    for size in [] if table else rows or [100_000, 1_000_000]:
        folder = work / str(size)
        write_log(folder / "log", size)
        for step, (command, written) in commands(folder, steps).items():
            if only in ("", step):
                if step in ("preprocess", "export"):
                    shutil.rmtree(written, ignore_errors=True)
                line = {"step": step, "rows": size, **_run(command, written), **_facts(step, folder)}
                print(json.dumps(line), flush=True)
                with RESULTS.open("a") as lines:
                    lines.write(json.dumps(line) + "\n")
    if table:
        print_table([json.loads(line) for line in RESULTS.read_text().splitlines()])


def _run(command: list[str], written: Path) -> dict[str, Any]:
    try:
        usage, said = run_measured(command, written.parent)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(command)} failed:\n{error.output[-3000:]}")
    ranked = [line.split() for line in said.splitlines() if line.split()[:1] == ["500"]]
    answers: dict[str, Any] = {}
    if ranked:
        answers = {"rank_p50_ms": float(ranked[0][3]), "rank_p99_ms": float(ranked[0][5])}
    if "benchmarks.scale.train_side" in command:
        answers = json.loads(said.splitlines()[-1])
    return {**usage.to_dict(), "output_mib": folder_mib(written), **answers}


def _facts(step: str, folder: Path) -> dict[str, Any]:
    """What is known from the step's own record, and the machine."""
    found: dict[str, Any] = {}
    manifest = json.loads((folder / "data" / "manifest.json").read_text())
    if step == "preprocess":
        found["log_mib"] = folder_mib(folder / "log")
        found["shards"] = len(manifest["files"]) // 3
    if step == "train":
        record = json.loads((folder / "run" / "run.json").read_text())
        found["parameters"] = record["parameters"]
        found["examples"] = manifest["splits"]["train"]["examples"]
        found["val_click_auc"] = round(record["history"]["val_click/auc"][-1], 4)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    return {**found, "commit": commit.strip(), "hardware": f"2 cores of {_processor()}"}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def print_table(lines: list[dict[str, Any]]) -> None:
    """The newest run of every step and size, and its ratio to the size before: processor time, memory, disk."""
    newest = {(line["step"], line["rows"]): line for line in lines}
    heads = ("step", "rows", "seconds", "processor s", "us a row", "peak MiB", "output MiB", "disk MiB")
    print(f"| {' | '.join(heads)} | growth: time, memory, output |\n|---{'|---:' * 7}|---|")
    for step in ("preprocess", "train", "export", "rank"):
        before: dict[str, Any] | None = None
        for line in (own for (name, _), own in sorted(newest.items()) if name == step):
            growth = ""
            if before:
                keys = ("processor_seconds", "peak_mib", "output_mib")
                ratios = ", ".join(f"{line[key] / max(before[key], 1):.1f}" for key in keys)
                growth = f"{ratios} for {line['rows'] / before['rows']:.0f} times the rows"
            rows, spent = line["rows"], line["processor_seconds"]
            print(
                f"| {step} | {rows:,} | {line['seconds']:,.0f} | {spent:,.0f} | {spent / rows * 1e6:.1f} | "
                f"{line['peak_mib']:,} | {line['output_mib']:,} | {line['disk_mib']:,} | {growth} |"
            )
            before = line


if __name__ == "__main__":
    typer.run(main)
