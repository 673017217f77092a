"""The commands that train a model and measure it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfmtl.pipelines.cli.arguments import Calibrate, DataFolder, OtherData, RunFolder
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
) -> None:
    """Train a multi-task model with early stopping, and keep its best epoch.

    The same command resumes a run that was stopped or killed, and does not change a finished run.
    `--config <run>/run.json` repeats an earlier run.
    """
    from tfmtl.data import PreparedData
    from tfmtl.folders import TrainedRun
    from tfmtl.training import fit, get_strategy
    from tfmtl.training.workers import is_chief

    fit(PreparedData(data), output, options, verbose=1 if sys.stdout.isatty() else 2, fresh=fresh)
    if not is_chief(get_strategy(options.strategy)):
        return
    console.print(
        f"Wrote {TrainedRun(output).model}. Next: tfmtl evaluate {output}, or tfmtl export {output} -o <folder>"
    )


def evaluate(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="Split to measure on: train, valid or test.")] = "test",
    data: OtherData = None,
    calibrate: Calibrate = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            help="Formula over the tasks whose order is measured, as `tfmtl export --scores` takes it, such as "
            "'value=click*buy'. May be given several times."
        ),
    ] = None,
) -> None:
    """Measure a trained model: exact AUC, grouped AUC, log loss, calibration; RMSE and MAE.

    With --scores also AUC and grouped AUC of each formula for each yes/no task.
    With --calibrate also log loss and calibration error after calibration, and reliability_<split>.png.
    """
    from tfmtl.export.calibration.calibrate import FITTED_ON
    from tfmtl.folders import TrainedRun
    from tfmtl.pipelines.cli.option_values import named_texts, task_methods
    from tfmtl.pipelines.cli.screen import print_metrics
    from tfmtl.pipelines.runs.calibrated_report import add_calibration
    from tfmtl.pipelines.runs.score_report import add_scores, read_scores
    from tfmtl.training import predict
    from tfmtl.training.evaluate import metrics_of

    model, prepared = load_run(run, data)
    methods = task_methods("evaluate", prepared.problem, calibrate or [])
    formulas = read_scores(prepared.problem, named_texts("evaluate", "--scores", scores or []))
    calibrators: dict[str, Any] = {}
    with console.status(f"Scoring the {split} split ..."):
        splits = {split, FITTED_ON} if methods else {split}
        predicted = {each: predict(model, prepared, each) for each in sorted(splits)}
        report = metrics_of(prepared, predicted[split])
        if methods:
            figure = TrainedRun(run).reliability(split)
            calibrators = add_calibration(report, prepared, split, predicted, methods, figure)
        if formulas:
            add_scores(report, prepared, predicted[split], formulas, calibrators)
    path = TrainedRun(run).evaluation(split)
    path.write_text(json.dumps(report, indent=1) + "\n")
    print_metrics(console, {model.name: report}, f"{prepared.problem.name}, {split} split")
    console.print(f"Wrote {path}.")


def load_run(run: Path, data: Path | None) -> tuple[Any, Any]:
    """Model and data of a training run; `data` is another data folder, if given."""
    from tfmtl.data import PreparedData
    from tfmtl.folders import TrainedRun
    from tfmtl.models import load

    folder = TrainedRun(run)
    record = folder.read_record("run")
    return load(folder.model), PreparedData(data or record["data"])
