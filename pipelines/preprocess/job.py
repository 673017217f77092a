"""The preprocessing job, on this machine or on an engine: from raw logs to TFRecords."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tfmtl.pipelines.tables.copied_tables import copy_tables, is_table
from tfmtl.preprocessing.job import run_job
from tfmtl.preprocessing.local.run import run as run_here
from tfmtl.preprocessing.plan import Files, Plan
from tfmtl.schema import Problem
from tfmtl.schema.checks import check_one_of, check_positive_int
from tfmtl.schema.extras import need_extra

ENGINES = ("local", "beam", "spark")


def preprocess(
    problem: Problem,
    inputs: Sequence[str],
    output: str,
    *,
    seed: int = 0,
    num_shards: int | None = None,
    compression: str = "none",
    transform_from: str | None = None,
    extend_vocabularies: bool = False,
    split_file: bool = False,
    engine: str | None = None,
    workers: int | None = None,
    beam_options: Sequence[str] = (),
    spark_master: str | None = None,
    spark_conf: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Runs the job and returns the manifest it wrote.

    Same problem, inputs, seed and number of shards give the same bytes,
    whatever the engine and the number of workers.

    Args:
        problem: `Problem`.
        inputs: files, patterns or folders of CSV, TSV, JSON-lines or Parquet files, and tables: `bigquery://...`,
            `iceberg://...`.
        output: folder; an older one is replaced only when the new one is complete.
        seed: of the split by user and of the order of records; not negative.
        num_shards: TFRecord files per split. Defaults to one per 32 MiB of input, 8 at least.
        compression: `"none"` or `"gzip"`.
        transform_from: an earlier output whose vocabularies and statistics are used instead of fitting new ones to this
            log. Its problem may differ in `split` and `examples`.
        extend_vocabularies: whether new values of this log's training split are appended to the vocabularies.
            Known ids stay. `min_count` is over this log; a vocabulary stops at `max_size`.
        split_file: whether to write `split.parquet` as well: file, number, user, time and split of every row.
        engine: `"local"`, `"beam"` or `"spark"`. Defaults to `None`: Beam where there are options for it, else local,
            this machine without an engine.
        workers: processes of the local engine, this one included. Defaults to `None`: 1.
        beam_options: options for Beam, such as `--runner=DataflowRunner`. The
            runner defaults to Beam's local `FnApiRunner`.
        spark_master: Spark's master. Defaults to that of this process's session, or `local[*]`.
        spark_conf: settings for Spark.

    Raises:
        ImportError: the engine is not installed.
        InputError: a file is missing, unreadable, cut off, or lacks a column, or no row is left for training.
        ProblemError: a new problem, read by no `Problem.load`, breaks a rule that stored ones may be older than: a
            history whose condition reads a label that is not `known_at_event`, a parent that means nothing.
        ValueError: an argument is out of range or unknown to the engine, or `output` holds something else.
    """
    if engine is None:
        engine = "beam" if beam_options else "local"
    check_one_of("preprocess", "engine", engine, list(ENGINES))
    run = _engine(engine, workers, beam_options, spark_master, spark_conf or {})
    return run_job(
        run,
        problem,
        inputs,
        output,
        seed=seed,
        num_shards=num_shards,
        compression=compression,
        transform_from=transform_from,
        extend_vocabularies=extend_vocabularies,
        split_file=split_file,
        copy_inputs=partial(copy_tables, inputs, problem, beam_options) if any(map(is_table, inputs)) else None,
    )


def _engine(
    engine: str,
    workers: int | None,
    beam_options: Sequence[str],
    spark_master: str | None,
    spark_conf: Mapping[str, str],
) -> Callable[[Plan, Files], None]:
    """The function that runs a plan on the engine; only the chosen engine is imported."""
    if engine != "beam" and beam_options:
        shown = {"local": "local", "spark": "Spark"}[engine]
        settings = " Spark's settings are written --conf name=value." if engine == "spark" else ""
        raise ValueError(
            f"preprocess: option '{beam_options[0]}' is not an option of tfmtl, and the engine is {shown}, not Beam."
            f"{settings}"
        )
    if workers is not None:
        check_positive_int("preprocess", "workers", workers, "Use 1, or as many as the machine has cores.")
        if engine != "local":
            raise ValueError(
                f"preprocess: `workers` must be left out with the engine {engine!r}, which has its own setting for it. "
                f"Received: workers={workers}."
            )
    if engine == "spark":
        need_extra("preprocess: the engine 'spark'", "spark", "pyspark")
        from tfmtl.pipelines.preprocess.spark.job import run as run_on_spark

        return partial(run_on_spark, master=spark_master, conf=spark_conf)
    if spark_master is not None or spark_conf:
        raise ValueError(
            "preprocess: `engine` must be 'spark' where Spark's master or settings are given. "
            f"Received: engine={engine!r}, master={spark_master!r}, settings={dict(spark_conf)}."
        )
    if engine == "local":
        return partial(run_here, workers=workers or 1)
    from tfmtl.pipelines.preprocess.beam.options import only_translates, pipeline_options
    from tfmtl.pipelines.preprocess.beam.pipeline import run as run_on_beam

    if only_translates(beam_options):
        raise ValueError(
            "preprocess: --dry_run and --template_location run nothing, so there is no manifest to return. Call "
            "`tfmtl.pipelines.preprocess.beam.template.translate`, or leave them out."
        )
    return partial(run_on_beam, options=pipeline_options(beam_options))
