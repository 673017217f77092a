"""The command of the operator networks."""

from pathlib import Path
from typing import Annotated

import typer

from tfmtl.pipelines.cli.screen import console
from tfmtl.schema.extras import need_extra


def operators(
    problem: Annotated[str, typer.Argument(help="The family: fisher, darcy or plate.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for data, table, figure and model.")],
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of each training. Default: under 15 seconds on two cores.", show_default=False),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the model's versions, for a verified SavedModel. Default: none.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the trainings.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Use few samples and steps, to check that everything works.")
    ] = False,
) -> None:
    """Solve a family of equations, train one operator network for all of them, and compare it with baselines."""
    need_extra("operators: its figure", "physics", "matplotlib")
    from tfmtl.pipelines.physics.run_study import run_study

    run_study(console, problem, output, steps, seed, quick, export)
    console.print(f"Wrote {output}/results.json, fields.png, model.keras, data.npz and manifest.json.")
