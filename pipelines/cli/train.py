"""The command that trains a model."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfmtl.pipelines.cli.arguments import DataFolder
from tfmtl.pipelines.cli.dataclass_options import DataclassOptions, options_of
from tfmtl.pipelines.cli.screen import console


@options_of(DataclassOptions("tfmtl.training.train_options:TrainOptions", settings="preset_options"))
def train(
    data: DataFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model and its record.")],
    options: Any,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train from the start, even if the folder has this run already.")
    ] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(
            help="Tell trackers of the run: tensorboard (which every run does), mlflow, wandb. Needs tfmtl[track]; "
            "where to is their own setting, such as MLFLOW_TRACKING_URI or WANDB_MODE."
        ),
    ] = None,
) -> None:
    """Train a multi-task model with early stopping, and keep its best epoch.

    The same command resumes a run that was stopped or killed, and does not change a finished run.
    `--config <run>/run.json` repeats an earlier run.
    """
    from tfmtl.data import PreparedData
    from tfmtl.folders import TrainedRun
    from tfmtl.pipelines.cli.option_values import names
    from tfmtl.training import fit, get_strategy
    from tfmtl.training.trackers import make_trackers
    from tfmtl.training.workers import is_chief

    prepared = PreparedData(data)
    chief = is_chief(get_strategy(options.strategy))
    asked = [name for text in track or [] for name in names(text)]
    trackers = make_trackers(asked, prepared, output, options) if chief else []
    fit(prepared, output, options, callbacks=trackers, verbose=1 if sys.stdout.isatty() else 2, fresh=fresh)
    if not chief:
        return
    console.print(
        f"Wrote {TrainedRun(output).model}. Next: tfmtl evaluate {output}, or tfmtl export {output} -o <folder>"
    )
