"""The `tfmtl` command: each step's output folder is the next step's input."""

import logging
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

import tfmtl
from tfmtl.pipelines.cli import (
    data,
    deploy,
    evaluate,
    export,
    operators,
    preprocess,
    run,
    run_report,
    skew,
    survival,
    train,
    tune,
    two_stages,
)
from tfmtl.pipelines.cli.quiet_start import start_tensorflow
from tfmtl.pipelines.cli.screen import console
from tfmtl.pipelines.cli.step_command import StepCommand
from tfmtl.serving import serve as serve_command

app = typer.Typer(
    name="tfmtl",
    help="Multi-task recommender models: raw logs to TFRecords to Keras models to a served SavedModel.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
errors = Console(stderr=True, soft_wrap=True, highlight=False)

_UNKNOWN_GO_TO_BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}
_GROUPS: dict[str, dict[str, Callable[..., None]]] = {
    "Data": {
        "datasets": data.datasets,
        "preprocess": preprocess.preprocess,
        "data-report": data.data_report,
    },
    "Models": {
        "train": train.train,
        "tune": tune.tune,
        "evaluate": evaluate.evaluate,
        "run-report": run_report.run_report,
        "survival-report": survival.survival_report,
    },
    "Serving": {
        "export": export.export,
        "verify": export.verify,
        "predict": export.predict,
        "serve": serve_command.serve,
        "deploy-files": deploy.deploy_files,
        "skew": skew.skew,
    },
    "Retrieval and ranking": {
        "retrieve": two_stages.retrieve,
        "negatives": two_stages.negatives,
        "compose": two_stages.compose,
    },
    "Operator networks": {"operators": operators.operators},
    "All steps in one command": {"run": run.run, "run-two-stage": two_stages.run_two_stage},
}
"""Group of the help page -> command -> what it calls; all in the order of work."""

app.add_typer(data.schema, name="schema", rich_help_panel=next(iter(_GROUPS)))
for _group, _commands in _GROUPS.items():
    for _name, _command in _commands.items():
        _settings = _UNKNOWN_GO_TO_BEAM if _name == "preprocess" else None
        app.command(_name, cls=StepCommand, rich_help_panel=_group, context_settings=_settings)(_command)


def _say_version(wanted: bool) -> None:
    if wanted:
        console.print(f"tfmtl {tfmtl.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; may also be given after the command.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    # Engines log an error with its traceback before they raise it; without --debug the one line is enough.
    logging.basicConfig(level=logging.WARNING if debug else logging.CRITICAL)
    if context.invoked_subcommand not in ("datasets", "schema") and not {"-h", "--help"} & set(sys.argv):
        start_tensorflow()


def main() -> None:
    """Runs the command; an error prints one readable line and gives exit status 2."""
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
    """The error's own message, without what the engine adds to it.

    Beam reports an error from a worker process as text: the traceback, with the error in its last lines.
    """
    text = str(error).split(" [while running")[0].strip() or type(error).__name__
    lines = [line for line in text.splitlines() if line.strip()]
    if "Traceback (most recent call last)" in text:
        return lines[-1].split(": ", 1)[-1]
    return lines[0]
