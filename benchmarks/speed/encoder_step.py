"""What DTRN's encoders cost beside MMoE, and beside themselves in another checkout.

    python -m benchmarks.speed.encoder_step <data folder>... --before <checkout>
    python -m benchmarks.speed.encoder_step --long-batch 256 --before <checkout>

Both sides and all models take turns; medians of processor time a training step, so that other work on the machine does
not count. With `--long-batch` the encoder alone, 8 tasks, 8 sequences of up to 200 events of width 16, half filled.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

_MODELS: dict[str, list[Any]] = {
    "mmoe": ["mmoe", {}],
    "mmoe, target attention": ["mmoe", {"pooling": "target"}],
    "dtrn": ["dtrn", {}],
    "dtrn, shared encoder": ["dtrn", {"encoder": "shared"}],
    "dtrn, target attention": ["dtrn", {"pooling": "target"}],
    "dtrn, adapters": ["dtrn", {"conditioning": "adapter"}],
    "dtrn, low rank": ["dtrn", {"conditioning": "low_rank"}],
    "dtrn, a Transformer a pair": ["dtrn", {"encoder": "independent"}],
}


def main(
    folders: Annotated[list[Path] | None, typer.Argument(help="Prepared data.")] = None,
    before: Annotated[Path | None, typer.Option(help="Another checkout, measured in turn.")] = None,
    models: Annotated[str, typer.Option(help="Numbers of the models, as in `0,2`.")] = "0,1,2,3,4,5,6,7",
    batch_size: int = 512,
    long_batch: int = 0,
    rounds: int = 5,
    steps: Annotated[int, typer.Option(help="Steps a round.")] = 6,
    threads: int = 2,
) -> None:
    """Prints one table for each folder, and one for long sequences."""
    checkouts = [] if before is None else [before.resolve()]
    checkouts.append(Path(__file__).resolve().parents[2])
    chosen = {name: _MODELS[name] for index, name in enumerate(_MODELS) if str(index) in models.split(",")}
    for folder in folders or []:
        asked = {"models": {"folder": str(folder.resolve()), "batch_size": batch_size, "models": chosen}}
        found = _measured(checkouts, {**asked, "threads": threads}, list(chosen), rounds, steps)
        print(f"\n{folder.name}, batch {batch_size}\n")
        _print_times(found, list(chosen), len(checkouts))
    if long_batch:
        sizes = {"batch": long_batch, "tasks": 8, "behaviors": 8, "length": 200, "width": 16}
        print(f"\nencoder alone, {json.dumps(sizes)}\n\n| | step | peak memory beyond the start |\n|---|---:|---:|")
        for index, checkout in enumerate(checkouts):
            found = _measured([checkout], {"sizes": sizes, "threads": threads}, ["long"], rounds, 1)
            side = "now" if index == len(checkouts) - 1 else "before"
            seconds, megabytes = found["long", 0]
            print(f"| {side} | {seconds:.2f} s | {megabytes:,.0f} MB |", flush=True)


def _measured(
    checkouts: list[Path], arguments: dict[str, Any], names: list[str], rounds: int, steps: int
) -> dict[tuple[str, int], list[float]]:
    """Median processor seconds a step and peak megabytes, by model and checkout."""
    command = [sys.executable, str(Path(__file__).parent / "sides/encoder_step.py"), json.dumps(arguments)]
    sides = []
    for checkout in checkouts:
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        sides.append(subprocess.Popen(command, env=environment, cwd=checkout, **pipes))
    lines: dict[tuple[str, int], list[list[float]]] = {(n, i): [] for n in names for i in range(len(sides))}
    for side in sides:
        if side.stdout.readline().strip() != "ready":
            raise SystemExit("a side did not start")
    for _ in range(rounds):
        for name in names:
            for index, side in enumerate(sides):
                side.stdin.write(f"{name} {steps}\n")
                side.stdin.flush()
                lines[name, index].append(json.loads(side.stdout.readline()))
    for side in sides:
        side.stdin.close()
        side.wait()
    return {key: [statistics.median(column) for column in zip(*some, strict=True)] for key, some in lines.items()}


def _print_times(found: dict[tuple[str, int], list[float]], names: list[str], sides: int) -> None:
    """A line a model: the step of each side, and its ratio to that side's first model."""
    titles = ["before", "now"][-sides:]
    print("| model | " + " | ".join(f"{title} | times {names[0]}" for title in titles) + " |")
    print("|---" + "|---:" * 2 * sides + "|")
    for name in names:
        cells = []
        for side in range(sides):
            seconds = found[name, side][0]
            cells += [f"{1e3 * seconds:.1f} ms", f"{seconds / found[names[0], side][0]:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
