"""The job as one Beam pipeline, and its run."""

import re
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsList, AsSingleton

from tfmtl.pipelines.preprocess.beam import stages
from tfmtl.pipelines.preprocess.beam.options import new_pipeline
from tfmtl.pipelines.preprocess.beam.temporary_folder import claimed_temporary_folder
from tfmtl.preprocessing.plan import Files, Plan
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.preprocessing.writing.pieces import Piece

_WORKERS_INPUT_ERROR = re.compile(r"(?:\A|InputError: )(preprocess: .*?) \[while running '")


def run(plan: Plan, files: Files, options: PipelineOptions) -> None:
    """Runs the plan on Beam and waits for its end.

    Raises:
        InputError: a file is not readable to its end, or no row is left for training.
        ValueError: the options do not fit together.
    """
    try:
        pipeline = new_pipeline(options)
        with claimed_temporary_folder(pipeline), pipeline:
            build(pipeline | "files" >> beam.Create(list(files), reshuffle=False), plan)
    except (InputError, RuntimeError) as error:  # a worker process can only send the error's text
        found = _WORKERS_INPUT_ERROR.search(str(error))
        if found is None or not (isinstance(error, InputError) or "InputError: " in str(error)):
            raise
        raise InputError(found[1]) from error


def build(files: beam.PCollection, plan: Plan) -> beam.PCollection:
    """Adds the plan's stages to the pipeline of `files`, which are `(number, path)`; yields one `None` at the end."""
    read = files | "read rows" >> stages.ReadRows(plan)
    if plan.counts_times:
        find_cuts = stages.CountInto(plan.count_times, plan.merge_times, plan.find_cuts)
        cuts: Any = AsSingleton(read.pieces | "times" >> beam.Map(Piece.rows) | "find time cuts" >> find_cuts)
    else:
        cuts = plan.find_cuts({})
    # One step: between two, an engine that waits for the cuts would hold the rows of the whole log.
    rows = read.pieces | "assign splits" >> beam.Map(lambda piece, cuts: plan.assign_split(piece.rows(), cuts), cuts)
    fit = stages.CountInto(plan.count_values, plan.merge_values, plan.fit)
    statistics = rows | "fit statistics" >> fit
    shards = read.pieces | "write shards" >> stages.WriteShards(plan, cuts, AsSingleton(statistics))
    rejected = read[stages.REJECTED] | "write rejected" >> stages.WriteRejected(plan)
    return statistics | "write manifest" >> beam.Map(
        lambda statistics, files, plan, *counts: plan.finish([path for _, path in sorted(files)], statistics, *counts),
        AsList(files),
        plan,
        AsList(read[stages.COUNTS]),
        AsList(rejected),
        AsList(shards),
    )
