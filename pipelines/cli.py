"""The `tfmtl` command: each step's output folder is the next step's input."""

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

import tfmtl
from pipelines import data_commands, deploy_command, preprocess_command, retrieval_commands, skew_command
from pipelines.quiet_start import start_tensorflow
from serving import serve as serve_command

app = typer.Typer(
    name="tfmtl",
    help="Multi-task recommender models: raw logs to TFRecords to Keras models to a served SavedModel.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_commands.schema, name="schema")
console = data_commands.console
errors = Console(stderr=True, soft_wrap=True, highlight=False)

DataFolder = Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")]
RunFolder = Annotated[Path, typer.Argument(help="Output folder of `tfmtl train`.")]
ModelFolder = Annotated[Path, typer.Argument(help="Output folder of `tfmtl export` (it holds one folder a version).")]
Calibrate = Annotated[
    list[str] | None,
    typer.Option(help="platt, isotonic or negatives:<share kept>; for one task buy=platt. Fitted on validation."),
]
Seed = preprocess_command.Seed


def _say_version(wanted: bool) -> None:
    if wanted:
        console.print(f"tfmtl {tfmtl.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; after a step, too.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Say the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    # Engines log an error with its traceback before they raise it; without --debug the one line is enough.
    logging.basicConfig(level=logging.WARNING if debug else logging.CRITICAL)
    if context.invoked_subcommand not in ("datasets", "schema") and not {"-h", "--help"} & set(sys.argv):
        start_tensorflow()


app.command()(data_commands.datasets)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(preprocess_command.preprocess)
app.command("data-report")(data_commands.data_report)
app.command()(retrieval_commands.retrieve)
app.command()(retrieval_commands.compose)
app.command("run-two-stage")(retrieval_commands.run_two_stage)
app.command()(serve_command.serve)
app.command("deploy-files")(deploy_command.deploy_files)
app.command()(skew_command.skew)


@app.command()
def train(
    data: DataFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model and its record.")],
    preset: Annotated[str, typer.Option(help="The model; a name that does not exist lists them.")] = "dtrn",
    settings: Annotated[list[str] | None, typer.Option("--set", help="Preset option, such as num_experts=8.")] = None,
    epochs: Annotated[int, typer.Option(help="Epochs at most.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Examples a step.")] = 512,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = 1e-3,
    monitor: Annotated[str | None, typer.Option(help="Metric that picks the best epoch, such as val_like/auc.")] = None,
    patience: Annotated[int, typer.Option(help="Epochs without improvement before stopping.")] = 2,
    seed: Seed = 0,
    strategy: Annotated[
        str, typer.Option(help="one_device, mirrored, multi_worker or parameter_server; the last two read TF_CONFIG.")
    ] = "one_device",
    jit_compile: Annotated[
        bool, typer.Option("--jit-compile", help="Compile the step with XLA: a slow start, then faster steps.")
    ] = False,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of a step's gradients; default: none.")] = None,
    ema_momentum: Annotated[
        float | None,
        typer.Option(help="Keep the moving average of the weights, say with 0.999; default: no."),
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints; default: each epoch, and every five minutes.")
    ] = None,
    deterministic: Annotated[bool, typer.Option(help="Give the same bits every time.")] = True,
    memory_check: Annotated[bool, typer.Option(help="Refuse tables that do not fit into memory.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train from the start, whatever the folder holds.")] = False,
    balancing: Annotated[
        str | None,
        typer.Option(help="What to do about tasks that conflict: pcgrad, uncertainty, ...; default: nothing."),
    ] = None,
    shared: Annotated[str, typer.Option(help="Where gradients are balanced: parameters or representation.")] = (
        "parameters"
    ),
    sharpness: Annotated[str | None, typer.Option(help="Look for a flat minimum: sam or asam; default: no.")] = None,
    rho: Annotated[float | None, typer.Option(help="Radius of --sharpness; default: 0.05 (sam), 2.0 (asam).")] = None,
    decomposed: Annotated[
        bool, typer.Option("--decomposed", help="A perturbation for every task, its flatness balanced by itself.")
    ] = False,
    init_from: Annotated[
        str | None, typer.Option(help="Earlier run to start from; the data may have extended its vocabularies.")
    ] = None,
    monitor_conflicts: Annotated[
        bool, typer.Option("--monitor-conflicts", help="Measure gradients, gates and embeddings once an epoch.")
    ] = False,
) -> None:
    """Train a multi-task model with early stopping; keeps the best epoch.

    The same command goes on with a run that was stopped or killed, and leaves a finished one as it is.
    """
    from pipelines.option_values import option_values
    from tfmtl.data import PreparedData
    from tfmtl.training import TrainOptions, fit, get_strategy
    from tfmtl.training.workers import is_chief

    options = TrainOptions(
        preset=preset,
        preset_options=option_values("train", settings or []),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        monitor=monitor,
        patience=patience,
        seed=seed,
        strategy=strategy,
        jit_compile=jit_compile,
        clip_norm=clip_norm,
        ema_momentum=ema_momentum,
        checkpoint_every=checkpoint_every,
        deterministic=deterministic,
        memory_check=memory_check,
        balancing=balancing,
        shared=shared,
        sharpness=sharpness,
        rho=rho,
        decomposed=decomposed,
        init_from=init_from,
        monitor_conflicts=monitor_conflicts,
    )
    fit(PreparedData(data), output, options, verbose=1 if sys.stdout.isatty() else 2, fresh=fresh)
    if not is_chief(get_strategy(strategy)):
        return
    console.print(f"Wrote {output}/model.keras. Next: tfmtl evaluate {output}, or tfmtl export {output} -o <folder>")


@app.command()
def evaluate(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    data: Annotated[Path | None, typer.Option(help="Data folder; default: the one it was trained on.")] = None,
    calibrate: Calibrate = None,
) -> None:
    """Measure a trained model: exact AUC, grouped AUC, log loss, calibration; RMSE and MAE.

    With --calibrate also what log loss and calibration would be, and reliability_<split>.png.
    """
    from pipelines.calibrated_report import add_calibration
    from pipelines.option_values import task_methods
    from pipelines.tables import print_metrics
    from tfmtl.training import evaluate as measure

    model, prepared = _load_run(run, data)
    methods = task_methods("evaluate", prepared.problem, calibrate or [])
    with console.status(f"Scoring the {split} split ..."):
        report = measure(model, prepared, split)
        if methods:
            add_calibration(report, model, prepared, split, methods, run / f"reliability_{split}.png")
    path = run / f"evaluation_{split}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print_metrics(console, {model.name: report}, f"{prepared.problem.name}, {split} split")
    console.print(f"Wrote {path}.")


@app.command()
def export(
    run: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model's versions.")],
    version: Annotated[int | None, typer.Option(help="Version; default: the next one.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; default: the one it was trained on.")] = None,
    tasks: Annotated[str | None, typer.Option(help="Tasks to answer, comma-separated; default: all.")] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            help="Score to answer beside them, such as 'value=click*0.3 + click*buy*5'; as often as you like."
        ),
    ] = None,
    calibrate: Calibrate = None,
) -> None:
    """Write a SavedModel that takes raw features, and verify it in a fresh process."""
    from pipelines.option_values import named_texts, names, task_methods
    from pipelines.tables import print_calibration
    from tfmtl.export import ExportOptions
    from tfmtl.export import export as write

    model, prepared = _load_run(run, data)
    options = ExportOptions(
        tasks=None if tasks is None else names(tasks),
        scores=named_texts("export", "--scores", scores or []),
        calibrate=task_methods("export", prepared.problem, calibrate or []),
    )
    with console.status("Exporting, and replaying real requests in a fresh process ..."):
        path = write(model, prepared, output, version, check=_prove, options=options)
    if options.calibrate:
        print_calibration(console, json.loads((path / "assets.extra" / "calibration.json").read_text()))
    console.print(f"Wrote {path}; how to ask it: {path}/assets.extra/signature.md. Next: tfmtl serve {output}")


@app.command()
def verify(version: Annotated[Path, typer.Argument(help="One version, such as <folder>/1.")]) -> None:
    """Replay an export's golden requests in a fresh process and compare with the training graph."""
    with console.status("Replaying the golden requests in a fresh process ..."):
        _prove(version)


def _prove(version: Path) -> None:
    from tfmtl.export import verify as check

    result = check(version)
    console.print(
        f"Verified: {result.requests} real requests through {', '.join(result.differences)}; largest difference to "
        f"the training graph {result.largest:.1e}."
    )


@app.command()
def predict(
    model: ModelFolder,
    requests: Annotated[Path, typer.Argument(help="JSON lines: one object of raw features a line.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON lines; default: the screen.")] = None,
) -> None:
    """Score raw requests with the newest version of an exported model."""
    from pipelines.scoring import score_requests

    lines = [json.dumps(scores) for scores in score_requests(model, requests)]
    if output is None:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    else:
        output.write_text("".join(f"{line}\n" for line in lines))
        console.print(f"Wrote {len(lines)} answers to {output}.")


@app.command()
def run(
    dataset: Annotated[
        str, typer.Argument(help="A data set of `tfmtl datasets`, or a folder with log and problem.yaml.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything.")],
    folder: Annotated[Path | None, typer.Option(help="Folder with the data set's raw files.")] = None,
    preset: Annotated[str, typer.Option(help="The model to export.")] = "dtrn",
    compare: Annotated[str, typer.Option(help="Presets to train beside it, comma-separated.")] = "single_task,mmoe",
    epochs: Annotated[int, typer.Option(help="Epochs at most.")] = 10,
    seed: Seed = 0,
) -> None:
    """Do every step: data, preprocessing, training, evaluation, export, verification, a served request."""
    from pipelines.option_values import names
    from pipelines.run import run_all

    run_all(console, dataset, output, folder=folder, presets=[preset, *names(compare)], epochs=epochs, seed=seed)


def _load_run(run: Path, data: Path | None) -> tuple[Any, Any]:
    from tfmtl.data import PreparedData
    from tfmtl.models import load

    record = run / "run.json"
    if not record.is_file():
        raise FileNotFoundError(f"no run.json in '{run}'. Give the output folder of `tfmtl train`.")
    return load(run / "model.keras"), PreparedData(data or json.loads(record.read_text())["data"])


def main() -> None:
    """Runs the command; an error is one readable line and exit status 2."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = ["--debug"] if "--debug" in sys.argv else []  # wherever it stands
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="keras")
            warnings.showwarning = _show_warning
            app(debug + arguments)
    except Exception as error:
        if debug:
            raise
        if first_line(error) == "KeyboardInterrupt":  # Ctrl-C, as Beam hands it on from its workers
            sys.exit(130)
        errors.print(f"[red]error:[/red] {escape(first_line(error))}")
        sys.exit(2)


def _show_warning(message: Warning | str, *_place: Any, **_more: Any) -> None:
    errors.print(f"[yellow]warning:[/yellow] {escape(str(message))}")


def first_line(error: BaseException) -> str:
    """What went wrong, without the engine's wrapping.

    Beam reports an error from a worker process as text: the traceback, with the error in its last lines.
    """
    text = str(error).split(" [while running")[0].strip() or type(error).__name__
    lines = [line for line in text.splitlines() if line.strip()]
    if "Traceback (most recent call last)" in text:
        return lines[-1].split(": ", 1)[-1]
    return lines[0]


if __name__ == "__main__":
    main()
