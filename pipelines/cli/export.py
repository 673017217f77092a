"""The commands that export a model, verify the export, and score requests with it."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tfmtl.pipelines.cli.arguments import Calibrate, ModelFolder, OtherData, RunFolder, Version
from tfmtl.pipelines.cli.evaluate import load_run
from tfmtl.pipelines.cli.screen import console


def export(
    run: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model's versions.")],
    version: Version = None,
    data: OtherData = None,
    tasks: Annotated[
        str | None, typer.Option(help="Tasks to export, comma-separated. Default: all.", show_default=False)
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            help="Output computed from the tasks, such as 'value=click*0.3 + click*buy*5'. May be given several times."
        ),
    ] = None,
    calibrate: Calibrate = None,
    tables: Annotated[
        str | None,
        typer.Option(
            help="Store embedding tables as fp16 or int8. Default: float32. Refused where it costs more than .0005 of "
            "a task's AUC on the validation split.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a SavedModel that takes raw features, and verify it in a fresh process."""
    from tfmtl.export import ExportOptions
    from tfmtl.export import export as write
    from tfmtl.folders import ExportedVersion
    from tfmtl.pipelines.cli.option_values import named_texts, names, task_methods
    from tfmtl.pipelines.cli.screen import print_calibration

    model, prepared = load_run(run, data)
    options = ExportOptions(
        tasks=None if tasks is None else names(tasks),
        scores=named_texts("export", "--scores", scores or []),
        calibrate=task_methods("export", prepared.problem, calibrate or []),
        tables=tables,
    )
    with console.status("Exporting, and checking real requests in a fresh process ..."):
        path = write(model, prepared, output, version, check=_prove, options=options)
    written = ExportedVersion(path)
    if options.calibrate:
        print_calibration(console, json.loads(written.calibration.read_text()))
    console.print(f"Wrote {path}; its signatures: {written.page}. Next: tfmtl serve {output}")


def verify(version: Annotated[Path, typer.Argument(help="Folder of one version, such as model/1.")]) -> None:
    """Answer an export's stored requests in a fresh process and compare the scores with the training graph's."""
    with console.status("Checking the stored requests in a fresh process ..."):
        _prove(version)


def _prove(version: Path) -> None:
    from tfmtl.export import verify as check
    from tfmtl.export.small_tables import report_text
    from tfmtl.folders import ExportedVersion

    result = check(version)
    tables = ExportedVersion(version).tables
    if tables.is_file():
        console.print(report_text(json.loads(tables.read_text())))
    console.print(
        f"Verified: {result.requests} real requests through {', '.join(result.differences)}; largest difference to "
        f"the training graph {result.largest:.1e}."
    )


def predict(
    model: ModelFolder,
    requests: Annotated[Path, typer.Argument(help="JSON lines, also .gz: one object of raw features per line.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for the scores, as JSON lines. Default: print them."),
    ] = None,
) -> None:
    """Score raw requests with the newest version of an exported model."""
    from tfmtl.pipelines.runs.score_requests import score_requests

    lines = [json.dumps(scores) for scores in score_requests(model, requests)]
    if output is None:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    else:
        output.write_text("".join(f"{line}\n" for line in lines))
        console.print(f"Wrote {len(lines)} answers to {output}.")
