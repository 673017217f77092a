"""The commands about data: public data sets, a proposed problem file for a log, a report on prepared data."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tfmtl.pipelines.cli.screen import console
from tfmtl.pipelines.cli.step_command import StepCommand
from tfmtl.schema.problem_file import PROBLEM_FILE

schema = typer.Typer(help="Propose a problem file for a log; write JSON Schemas for editors.", no_args_is_help=True)


@schema.command(cls=StepCommand)
def infer(
    inputs: Annotated[list[str], typer.Argument(help="CSV, TSV, JSON lines or Parquet files, patterns or folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The problem file to write.")] = Path(PROBLEM_FILE),
    label: Annotated[list[str] | None, typer.Option(help="Column to predict. May be given several times.")] = None,
    user: Annotated[str | None, typer.Option(help="Column with the user. Default: guessed.")] = None,
    time: Annotated[str | None, typer.Option(help="Column with the time. Default: guessed.")] = None,
    item: Annotated[str | None, typer.Option(help="Column with the item. Default: guessed.")] = None,
    rows: Annotated[int, typer.Option(help="Number of rows to look at, spread over the files.")] = 100_000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing problem file.")] = False,
) -> None:
    """Propose a problem file: keys, features, sequences, split, each with its reason. Only labels must be named."""
    from tfmtl.proposal.problem_text import problem_text
    from tfmtl.proposal.proposal import propose
    from tfmtl.proposal.sample import read_sample

    if output.exists() and not overwrite:
        raise ValueError(f"schema infer: '{output}' exists already. Give another --output, or --overwrite.")
    with console.status("Looking at the log ..."):
        sample = read_sample(inputs, rows)
        proposal = propose(sample, label or [], user, time, item)
        name = Path(inputs[0]).name.split(".")[0] or Path(inputs[0]).parent.name
        text = problem_text(proposal, sample, name)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    found = {"user": "no user", "time": "no time"} | proposal.keys
    console.print(
        f"{sample.rows.num_rows:,} of about {sample.total_rows:,} rows looked at: {escape(found['user'])}, "
        f"{escape(found['time'])}, {len(proposal.features)} features, {len(proposal.sequences)} sequences, "
        f"{len(proposal.left_out)} columns not used."
    )
    shown = ", ".join(f"{entry.values['name']} ({entry.why})" for entry in proposal.candidates)
    if not proposal.tasks:
        candidates = f" Candidates: {escape(shown)}." if shown else ""
        console.print(f"Wrote {output}. It needs labels: name them there, or run again with --label.{candidates}")
        return
    files = " ".join(inputs)
    console.print(f"Wrote {output}. Read it, then: tfmtl preprocess {files} --problem {output} -o <folder>")


@schema.command("json")
def json_schema(
    what: Annotated[str, typer.Argument(help="problem: the problem file; run: the file of `--config`.")],
    plugin: Annotated[
        list[str] | None,
        typer.Option(help="Module that registers kinds of your own, as in `plugins`. May be given several times."),
    ] = None,
) -> None:
    """Print the JSON Schema of problem files or run files, with which an editor completes and checks them."""
    import json

    from tfmtl.pipelines.cli.app import app
    from tfmtl.pipelines.cli.run_schema import run_schema
    from tfmtl.schema.checks import check_one_of
    from tfmtl.schema.json_schema import problem_schema
    from tfmtl.schema.registry import load_plugins

    check_one_of("schema json", "what", what, ("problem", "run"))
    load_plugins(plugin or [])
    print(json.dumps(problem_schema() if what == "problem" else run_schema(app), indent=1, ensure_ascii=False))


def data_report(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The HTML file. Default: <folder>_report.html beside it.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Number of examples per split to look at.")] = 200_000,
) -> None:
    """Write an HTML report on prepared data: splits, labels, drift, label leaks, sequence lengths, rejected rows."""
    from tfmtl.data import PreparedData
    from tfmtl.report import data_report as write

    folder = data.resolve()
    path = output or folder.parent / f"{folder.name}_report.html"
    prepared = PreparedData(data)
    with console.status("Counting ..."):
        facts = write(prepared, path, rows)
    for leak in facts["leaks"]:
        if leak["auc"] > leak["threshold"]:
            console.print(
                f"[yellow]warning:[/yellow] feature '{escape(leak['feature'])}' alone tells task "
                f"'{escape(leak['task'])}' ({leak['measure']} {leak['auc']:.3f})."
            )
    large = [row["name"] for row in facts["drift"] if max(row["psi"].values()) > facts["drift_thresholds"][1]]
    if large:
        console.print(f"Largest drift against the training split: {escape(', '.join(large[:5]))}.")
    console.print(f"Wrote {path}. It needs no network: open it in a browser.")


def datasets(
    name: Annotated[str | None, typer.Argument(help="Data set to prepare. Default: list all data sets.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the log and its problem file.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Folder with the raw files. Default: download them.")] = None,
) -> None:
    """List public data sets, or prepare one: canonical log and problem file."""
    from tfmtl.pipelines.datasets import DATASETS
    from tfmtl.schema.checks import check_one_of

    if name is None:
        table = Table("name", "what it is")
        for dataset in DATASETS.values():
            table.add_row(dataset.name, dataset.summary)
        console.print(table)
        return
    check_one_of("datasets", "name", name, list(DATASETS))
    with console.status(f"Fetching {name} ..."):
        path = DATASETS[name].prepare(output or Path("data") / name, folder)
    console.print(f"Wrote the log and {PROBLEM_FILE} to {path}. Next: tfmtl preprocess {path} -o <folder>")
