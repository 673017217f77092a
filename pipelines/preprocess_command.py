"""The command from raw logs to TFRecords."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.data_commands import console

Seed = Annotated[int, typer.Option(help="Every random number of the step flows from it.")]


def preprocess(
    context: typer.Context,
    inputs: Annotated[list[str], typer.Argument(help="CSV, TSV or Parquet files, patterns or folders.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder for TFRecords, manifest, rejected rows.")],
    problem: Annotated[Path | None, typer.Option(help="Problem file; default: problem.yaml beside the input.")] = None,
    seed: Seed = 0,
    shards: Annotated[int | None, typer.Option(help="Files per split; default by input size.")] = None,
    compression: Annotated[str, typer.Option(help="none or gzip.")] = "none",
    engine: Annotated[str, typer.Option(help="beam or spark; the output is the same.")] = "beam",
    master: Annotated[str | None, typer.Option(help="Spark's master; default: spark-submit's, or local[*].")] = None,
    conf: Annotated[list[str] | None, typer.Option(help="Spark's setting, name=value; may be repeated.")] = None,
    transform_from: Annotated[
        str | None,
        typer.Option(
            "--transform-from",
            "--transform_from",
            help="Earlier output whose vocabularies and statistics are taken over, not fitted.",
        ),
    ] = None,
    extend_vocabularies: Annotated[
        bool, typer.Option("--extend-vocabularies", help="Put this log's new values behind the ones taken over.")
    ] = False,
) -> None:
    """Turn raw logs into TFRecords with point-in-time sequences.

    Further options go to Beam, as --name=value: --direct_running_mode=multi_processing, --runner=DataflowRunner.
    """
    from pipelines.option_values import named_texts
    from pipelines.preprocess.beam.options import check_options, only_translates, split_options
    from pipelines.preprocess.beam.template import translate
    from pipelines.preprocess.job import preprocess as run_job
    from pipelines.tables import print_manifest
    from tfmtl.schema import Problem

    files, beam_options = split_options([*inputs, *context.args])
    own_options = [name for option in context.command.params for name in option.opts if name.startswith("--")]
    check_options(beam_options, own_options)
    if not files:
        raise ValueError("preprocess: no input is given. Give files, patterns or folders.")
    beside = Path(files[0]) if Path(files[0]).is_dir() else Path(files[0]).parent
    description = Problem.load(problem or beside / "problem.yaml")
    choices: dict[str, Any] = {
        "seed": seed,
        "num_shards": shards,
        "compression": compression,
        "transform_from": transform_from,
        "extend_vocabularies": extend_vocabularies,
    }
    if engine == "beam" and only_translates(beam_options):
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
            beam_options=beam_options,
            spark_master=master,
            spark_conf=named_texts("preprocess", "--conf", conf or []),
        )
    print_manifest(console, manifest)
    console.print(f"Wrote {output}. Next: tfmtl train {output} -o <folder>")
