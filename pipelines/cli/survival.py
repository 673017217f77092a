"""The command that writes a page about survival tasks."""

from pathlib import Path
from typing import Annotated

import typer

from tfmtl.pipelines.cli.arguments import OtherData, RunFolder
from tfmtl.pipelines.cli.screen import console


def survival_report(
    run: RunFolder,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The HTML file. Default: survival_<split>.html in the run.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split to measure on: train, valid or test.")] = "test",
    data: OtherData = None,
    ablation: Annotated[bool, typer.Option(help="Also measure without single features.")] = True,
) -> None:
    """Write an HTML page on lifetimes: curves by risk group, Brier score and AUC over time, calibration, ablation."""
    from tfmtl.pipelines.cli.evaluate import load_run
    from tfmtl.report import survival_report as write

    model, prepared = load_run(run, data)
    path = output or run / f"survival_{split}.html"
    with console.status("Measuring ..."):
        write(model, prepared, path, split, ablation)
    console.print(f"Wrote {path}. It needs no network: open it in a browser.")
