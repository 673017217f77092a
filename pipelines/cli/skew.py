"""The command that looks for training-serving skew."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tfmtl.pipelines.cli.screen import console


def skew(
    logs: Annotated[Path, typer.Argument(help="Folder of `tfmtl serve --log-requests`, or of TF Serving's logs.")],
    model: Annotated[Path, typer.Argument(help="Output folder of `tfmtl export` (it has one folder per version).")],
    data: Annotated[
        Path | None,
        typer.Option(help="Data folder to compare with. Default: the profile of the training data in the export."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Output folder of `tfmtl train`: compare the scores with those of its model, too."),
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Version whose training data to compare with. Default: the newest.")
    ] = None,
    max_psi: Annotated[
        float, typer.Option(help="Largest allowed population stability index of a column, unless chance explains it.")
    ] = 0.25,
    max_difference: Annotated[
        float, typer.Option(help="Largest allowed difference of a score; relative for scores above 1.")
    ] = 1e-5,
    requests: Annotated[int | None, typer.Option(help="Number of requests to read. Default: all.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file for the full result.")] = None,
) -> None:
    """Find training-serving skew: compare logged requests with the training data, and their scores with the model's.

    Exit status 1 if a column or a score exceeds its limit.
    """
    from tfmtl.pipelines.skew.find_skew import SkewOptions, find_skew
    from tfmtl.pipelines.skew.print_skew import print_skew

    options = SkewOptions(version, data, run, max_psi, max_difference, requests)
    with console.status("Reading requests and computing their scores again ..."):
        found = find_skew(logs, model, options)
    print_skew(console, found, options)
    if output is not None:
        output.write_text(json.dumps(found.to_dict(max_psi), indent=1) + "\n")
        console.print(f"Wrote {output}.")
    if found.shifted(max_psi) or not found.scores_are_right:
        raise typer.Exit(1)
