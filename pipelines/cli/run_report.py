"""The command that writes a page about a training run."""

from pathlib import Path
from typing import Annotated

import typer

from tfmtl.pipelines.cli.arguments import OtherData, RunFolder, Seed
from tfmtl.pipelines.cli.evaluate import Resamples, Slices, load_run
from tfmtl.pipelines.cli.screen import console


def run_report(
    run: RunFolder,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The HTML file. Default: <run>_report.html beside it.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split to measure on: train, valid or test.")] = "test",
    data: OtherData = None,
    slice: Slices = None,
    with_trees: Annotated[
        bool, typer.Option("--with-trees", help="Also measure boosted trees and a linear model. Needs tfmtl[trees].")
    ] = False,
    rows: Annotated[int, typer.Option(help="Number of rows to look at for the importance of features.")] = 5_000,
    resamples: Resamples = 200,
    seed: Seed = 0,
) -> None:
    """Write an HTML page about a run: metrics, curves, calibration, feature importance, conflicts, gates, slices."""
    from tfmtl.baselines import plain_report
    from tfmtl.report import run_report as write
    from tfmtl.schema.extras import need_extra
    from tfmtl.training.slice_report import read_slices

    if with_trees:
        need_extra("report: `--with-trees`", "trees", "sklearn")
    model, prepared = load_run(run, data)
    slices = read_slices(prepared, slice or [])
    folder = run.resolve()
    path = output or folder.parent / f"{folder.name}_report.html"
    with console.status("Measuring ..."):
        plain = plain_report(prepared, split, seed) if with_trees else None
        write(
            run, model, prepared, path, split=split, slices=slices, rows=rows, resamples=resamples, seed=seed,
            beside=plain.tasks if plain else None,
        )  # fmt: skip
    for note in plain.notes if plain else ():
        console.print(note, markup=False)
    console.print(f"Wrote {path}. It needs no network: open it in a browser.")
