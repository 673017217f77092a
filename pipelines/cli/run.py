"""The command that runs every step."""

from pathlib import Path
from typing import Annotated

import typer

from tfmtl.pipelines.cli.arguments import Seed
from tfmtl.pipelines.cli.screen import console
from tfmtl.schema.problem_file import PROBLEM_FILE


def run(
    dataset: Annotated[
        str, typer.Argument(help=f"A data set of `tfmtl datasets`, or a folder with log and {PROBLEM_FILE}.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all outputs.")],
    folder: Annotated[
        Path | None, typer.Option(help="Folder with the data set's raw files. Default: download them.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="The model to export. Default: the data set's, mostly dtrn.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Presets to train for comparison, comma-separated. Default: the data set's, such as mmoe."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Largest number of epochs.")] = 10,
    seed: Seed = 0,
) -> None:
    """Run every step: data, preprocessing, training, evaluation, export, verification, a served request."""
    from tfmtl.pipelines.cli.option_values import names
    from tfmtl.pipelines.runs.all_steps import presets_of, run_all

    own = presets_of(dataset)
    presets = [preset or own[0], *(own[1:] if compare is None else names(compare))]
    run_all(console, dataset, output, folder=folder, presets=presets, epochs=epochs, seed=seed)
