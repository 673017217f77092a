"""The job as something to be run later: a Dataflow template, or a dry run that only checks it."""

import logging
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from tfmtl.pipelines.preprocess.beam.options import is_dataflow, new_pipeline, pipeline_options
from tfmtl.pipelines.preprocess.beam.pipeline import build
from tfmtl.pipelines.tables.copied_tables import is_table
from tfmtl.preprocessing.plan import Files, Plan
from tfmtl.preprocessing.writing.output_folder import OutputFolder
from tfmtl.schema import Problem


def translate(
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
    beam_options: Sequence[str] = (),
) -> Any:
    """Translates the job for Dataflow and runs nothing: no input is looked at, and no output touched.

    What `preprocess` does before and after the pipeline is in the pipeline: its first stage finds the files, its last
    one puts the output in place.

    Args:
        problem: `Problem`.
        inputs: files, patterns or folders; looked up when the job runs.
        output: folder; checked and replaced when the job runs.
        seed: as in `preprocess`.
        num_shards: TFRecord files per split. Has no default, since the size of the input is not known.
        compression: `"none"` or `"gzip"`.
        transform_from: as in `preprocess`; whether it fits is looked at now, and it is read when the job runs.
        extend_vocabularies: as in `preprocess`.
        split_file: as in `preprocess`.
        beam_options: options for Beam, with `--dry_run=True` or `--template_location=gs://...`.

    Returns:
        What Beam's runner returns; after a dry run `result.job.proto_pipeline` is the job.

    Raises:
        ValueError: the runner is another one, `num_shards` is missing, an input is a table, or an option is wrong.
    """
    options = pipeline_options(beam_options)
    if not is_dataflow(options):
        raise ValueError(
            "preprocess: --dry_run and --template_location need the runner DataflowRunner. "
            f"Received: {', '.join(beam_options)}. Add --runner=DataflowRunner, or leave them out."
        )
    if num_shards is None:
        raise ValueError(
            "preprocess: `num_shards` must be given with --dry_run or --template_location, which look at no input. "
            "Received: num_shards=None. Give --shards, one for each 32 MB of input and 8 at least."
        )
    if any(map(is_table, inputs)):
        raise ValueError(
            "preprocess: the inputs must be files with --dry_run or --template_location, which read no table. "
            f"Received: {', '.join(inputs)}. Export the table to Parquet files and give those."
        )
    pipeline = new_pipeline(options)
    folder = OutputFolder(output)
    plan = Plan.checked(
        problem, folder.partial, num_shards, seed, compression, transform_from, extend_vocabularies, split_file
    )
    build_template(pipeline, plan, inputs, folder)
    return pipeline.run()


def build_template(pipeline: beam.Pipeline, plan: Plan, inputs: Sequence[str], folder: OutputFolder) -> None:
    """Adds the whole job to `pipeline`, from the search for the files to the output in its place."""

    def start(_: None) -> Files:
        folder.prepare()
        found = plan.find_files(inputs)
        for warning in found.warnings:
            logging.warning("preprocess: %s", warning)  # the plan is under way already and cannot carry it
        return found.files

    files = pipeline | "start" >> beam.Create([None]) | "find files" >> beam.FlatMap(start)
    _ = build(files, plan) | "put output in place" >> beam.Map(lambda _: folder.put_in_place())
