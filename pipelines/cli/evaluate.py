"""The command that measures a trained model."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tfmtl.pipelines.cli.arguments import Calibrate, OtherData, RunFolder, Seed
from tfmtl.pipelines.cli.screen import console

Slices = Annotated[
    list[str] | None,
    typer.Option(
        "--slice",
        help="Part of the rows that is measured, too: a column, such as country, for each of its values, or a "
        "condition over columns and derived features with a name, such as 'new users: viewed_count < 5'. May be given "
        "several times.",
    ),
]
Resamples = Annotated[int, typer.Option(help="How often rows are drawn anew for an interval.")]


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
    slice: Slices = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="Another run, such as that of the model that serves: is this one better? Its differences with 95 % "
            "intervals, over the same rows.",
            show_default=False,
        ),
    ] = None,
    with_trees: Annotated[
        bool, typer.Option("--with-trees", help="Also measure boosted trees and a linear model. Needs the extra trees.")
    ] = False,
    resamples: Resamples = 200,
    seed: Seed = 0,
) -> None:
    """Measure a trained model: exact AUC, grouped AUC, log loss, calibration; RMSE and MAE.

    With --scores also AUC and grouped AUC of each formula for each yes/no task.
    With --calibrate also log loss and calibration error after calibration, and reliability_<split>.png.
    With --with-trees also rows of boosted trees and of a linear model that read the same records, and whether the
    network is better than the trees, with 95 % intervals.
    With --slice also the metrics of parts of the rows, with --baseline a comparison with another run.
    """
    from tfmtl.export.calibration.calibrate import FITTED_ON
    from tfmtl.folders import TrainedRun
    from tfmtl.pipelines.cli.option_values import named_texts, task_methods
    from tfmtl.pipelines.cli.screen import print_metrics
    from tfmtl.pipelines.cli.screen_parts import print_comparison, print_slices
    from tfmtl.pipelines.runs.calibrated_report import add_calibration
    from tfmtl.pipelines.runs.compared_runs import comparison, load_baseline
    from tfmtl.pipelines.runs.score_report import add_scores, read_scores
    from tfmtl.pipelines.runs.tree_rows import BETTER_TREES, add_trees, against_trees
    from tfmtl.schema.extras import need_extra
    from tfmtl.training import predict
    from tfmtl.training.evaluate import add_ends, metrics_of
    from tfmtl.training.slice_report import read_slices, slice_report

    if with_trees:
        need_extra("evaluate: `--with-trees`", "trees", "sklearn")
    model, prepared = load_run(run, data)
    methods = task_methods("evaluate", prepared.problem, calibrate or [])
    formulas = read_scores(prepared.problem, named_texts("evaluate", "--scores", scores or []))
    slices = read_slices(prepared, slice or [])
    other = None if baseline is None else load_baseline(baseline, data, prepared)
    calibrators: dict[str, Any] = {}
    with console.status(f"Scoring the {split} split ..."):
        splits = {split, FITTED_ON} if methods else {split}
        prepared.check_fitted_for("evaluate", model.inputs)
        predicted = {each: predict(model, prepared, each) for each in sorted(splits)}
        report = metrics_of(prepared, predicted[split])
        add_ends(report, prepared, predicted[split])
        if methods:
            figure = TrainedRun(run).reliability(split)
            calibrators = add_calibration(report, prepared, split, predicted, methods, figure)
        if formulas:
            add_scores(report, prepared, predicted[split], formulas, calibrators)
        parts = slice_report(prepared, split, predicted[split], slices, resamples, seed)
        compared = other and comparison(other, prepared, split, predicted[split], resamples, seed)
    for task, metrics in report.items():
        metrics.update({"slices": {name: found[task] for name, found in parts.items()}} if parts else {})
        metrics.update({"compared_with": {"run": str(baseline), "metrics": compared[task]}} if compared else {})
    beside_trees: dict[str, Any] = {}
    if with_trees:
        found = add_trees(console, report, prepared, split, seed)
        beside_trees = against_trees(prepared, predicted[split], found, resamples, seed)
        for task, values in beside_trees.items():
            report[task]["compared_with_trees"] = values
    path = TrainedRun(run).evaluation(split)
    path.write_text(json.dumps(report, indent=1) + "\n")
    print_metrics(console, {model.name: report}, f"{prepared.problem.name}, {split} split")
    print_slices(console, prepared.problem, parts)
    if compared:
        print_comparison(console, compared, str(run), str(baseline))
    if beside_trees:
        print_comparison(console, beside_trees, str(run), BETTER_TREES)
    console.print(f"Wrote {path}.")


def load_run(run: Path, data: Path | None) -> tuple[Any, Any]:
    """Model and data of a training run; `data` is another data folder, if given."""
    from tfmtl.data import PreparedData
    from tfmtl.folders import TrainedRun
    from tfmtl.models import load

    folder = TrainedRun(run)
    record = folder.read_record("run")
    return load(folder.model), PreparedData(data or record["data"])
