"""Boosted trees and linear models on prepared data: what a network has to beat.

    python -m benchmarks.quality.trees <folder of tfmtl preprocess> [--split test] [--seed 0] [-o rows.json]

They read the training split's records and choose their settings on the validation split. See `tfmtl.baselines`.
"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tfmtl.baselines import plain_report
from tfmtl.data import PreparedData
from tfmtl.pipelines.cli.screen import console, print_metrics


def main(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    split: str = "test",
    seed: int = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File for the numbers, as JSON.")] = None,
) -> None:
    """Fits, measures and prints."""
    prepared = PreparedData(data)
    found = plain_report(prepared, split, seed)
    report = {}
    for task, models in found.tasks.items():
        first, *others = models
        report[task] = {**models[first], "baseline": found.constants[task]}
        report[task]["plain_models"] = {name: models[name] for name in others}
    if report:
        print_metrics(console, {first: report}, f"{prepared.problem.name}, {split} split")
    for note in found.notes:
        console.print(escape(note))
    if output is not None:
        output.write_text(json.dumps({"constants": found.constants, "models": found.tasks}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
