"""The command from raw logs to TFRecords."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfmtl.folders import PreparedFolder
from tfmtl.pipelines.cli.arguments import Seed
from tfmtl.pipelines.cli.screen import console
from tfmtl.schema.problem_file import PROBLEM_FILE


def preprocess(
    context: typer.Context,
    inputs: Annotated[list[str], typer.Argument(help="CSV, TSV, JSON lines or Parquet files, patterns or folders.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder for TFRecords, manifest, rejected rows.")],
    problem: Annotated[
        Path | None, typer.Option(help=f"Problem file. Default: {PROBLEM_FILE} in the input's folder.")
    ] = None,
    seed: Seed = 0,
    shards: Annotated[
        int | None,
        typer.Option(help="Number of TFRecord files per split. Default: one per 32 MiB of input, at least 8."),
    ] = None,
    compression: Annotated[str, typer.Option(help="Compression of the TFRecord files: none or gzip.")] = "none",
    engine: Annotated[
        str | None,
        typer.Option(
            help="What runs the job: local (this machine, without an engine), beam or spark. The output is the same. "
            "Default: beam where an option of Beam is given, else local.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes of the local engine, as many as there are cores. Default: 1.", show_default=False),
    ] = None,
    master: Annotated[
        str | None, typer.Option(help="Address of Spark's master. Default: spark-submit's, or local[*].")
    ] = None,
    conf: Annotated[
        list[str] | None, typer.Option(help="Spark setting, name=value. May be given several times.")
    ] = None,
    transform_from: Annotated[
        str | None,
        typer.Option(
            "--transform-from",
            "--transform_from",
            help="Earlier output folder whose vocabularies and statistics are used instead of fitting new ones.",
        ),
    ] = None,
    extend_vocabularies: Annotated[
        bool,
        typer.Option(
            "--extend-vocabularies", help="With --transform-from: add this log's new values to the vocabularies."
        ),
    ] = False,
    split_file: Annotated[
        bool,
        typer.Option("--split-file", help=f"Also write {PreparedFolder.SPLIT_FILE}: the split of each row of the log."),
    ] = False,
) -> None:
    """Turn raw logs into TFRecords with point-in-time sequences.

    All other options are passed to Beam: --direct_running_mode=multi_processing, --runner=DataflowRunner, ...
    """
    from tfmtl.pipelines.cli.option_values import named_texts
    from tfmtl.pipelines.cli.screen import print_manifest
    from tfmtl.pipelines.preprocess.job import preprocess as run_job
    from tfmtl.schema.problem_file import read_problem_file

    files, beam_options = _split([*inputs, *context.args], engine, context)
    if not files:
        raise ValueError("preprocess: no input is given. Give files, patterns or folders.")
    beside = Path(files[0]) if Path(files[0]).is_dir() else Path(files[0]).parent
    description = read_problem_file(problem or beside / PROBLEM_FILE)
    choices: dict[str, Any] = {
        "seed": seed,
        "num_shards": shards,
        "compression": compression,
        "transform_from": transform_from,
        "extend_vocabularies": extend_vocabularies,
        "split_file": split_file,
    }
    if engine in (None, "beam") and _only_translates(beam_options):
        from tfmtl.pipelines.preprocess.beam.template import translate

        translate(description, files, output, beam_options=beam_options, **choices)
        console.print(
            "Translated the job for Dataflow. Nothing was read, run or written but the template, if asked for."
        )
        return
    with console.status("Reading, analyzing, cutting sequences, writing TFRecords ..."):
        manifest = run_job(
            description,
            files,
            output,
            **choices,
            engine=engine,
            workers=workers,
            beam_options=beam_options,
            spark_master=master,
            spark_conf=named_texts("preprocess", "--conf", conf or []),
        )
    print_manifest(console, manifest)
    console.print(f"Wrote {output}. Next: tfmtl train {output} -o <folder>")


def _split(items: list[str], engine: str | None, context: typer.Context) -> tuple[list[str], list[str]]:
    """Files and Beam's options; Beam is imported only where it is asked for or something looks like an option of it."""
    if engine != "beam" and not any(item.startswith("-") for item in items):
        return items, []
    from tfmtl.pipelines.preprocess.beam.options import check_options, split_options

    files, options = split_options(items)
    own_options = [name for option in context.command.params for name in option.opts if name.startswith("--")]
    check_options(options, own_options)
    return files, options


def _only_translates(options: list[str]) -> bool:
    if not options:
        return False
    from tfmtl.pipelines.preprocess.beam.options import only_translates

    return only_translates(options)
