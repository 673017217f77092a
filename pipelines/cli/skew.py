"""The command that compares what is served with what was trained."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.screen import console


def skew(
    logs: Annotated[Path, typer.Argument(help="Folder of `tfmtl serve --log-requests`, or of TF Serving's logs.")],
    model: Annotated[Path, typer.Argument(help="Output folder of `tfmtl export` (it holds one folder a version).")],
    data: Annotated[
        Path | None, typer.Option(help="Data folder to compare with; default: what the export knows of its own.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Output folder of `tfmtl train`, whose model then has to answer alike.")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Whose training data; default: the newest version's.")] = None,
    max_psi: Annotated[
        float, typer.Option(help="Largest population stability index of a column, unless chance alone explains more.")
    ] = 0.25,
    max_difference: Annotated[
        float, typer.Option(help="Largest difference of a score, relative for scores above 1.")
    ] = 1e-5,
    requests: Annotated[int | None, typer.Option(help="Requests to look at; default: all.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file for everything found.")] = None,
) -> None:
    """Compare logged requests with the training data, and their scores with the graph's.

    Exit status 1 if a column or a score exceeds its limit.
    """
    from pipelines.skew.find_skew import SkewOptions, find_skew
    from pipelines.skew.print_skew import print_skew

    options = SkewOptions(version, data, run, max_psi, max_difference, requests)
    with console.status("Reading requests, and answering them again ..."):
        found = find_skew(logs, model, options)
    print_skew(console, found, options)
    if output is not None:
        output.write_text(json.dumps(found.to_dict(max_psi), indent=1) + "\n")
        console.print(f"Wrote {output}.")
    if found.shifted(max_psi) or not found.scores_are_right:
        raise typer.Exit(1)
