"""The preprocessing job: raw logs to TFRecords, and nothing replaced before everything is written."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from pipelines.preprocess import columns, stages
from pipelines.preprocess.beam_options import pipeline_options
from pipelines.preprocess.manifest import build_manifest
from pipelines.preprocess.output_folder import OutputFolder
from pipelines.preprocess.read import InputError, check_columns, expand
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.schema import Problem

_BYTES_PER_SHARD = 32 << 20
_LEAST_SHARDS = 8
COMPRESSIONS = ("none", "gzip")

_WORKERS_INPUT_ERROR = re.compile(r"(?:\A|InputError: )(preprocess: .*?) \[while running '")


def preprocess(
    problem: Problem,
    inputs: Sequence[str],
    output: str,
    *,
    seed: int = 0,
    num_shards: int | None = None,
    compression: str = "none",
    beam_options: Sequence[str] = (),
) -> dict[str, Any]:
    """Runs the job and returns the manifest it wrote.

    Same problem, inputs, seed and number of shards give the same bytes,
    whatever the runner and the number of workers.

    Args:
        problem: `Problem`.
        inputs: files, patterns or folders of CSV, TSV (either with .gz) or Parquet files.
        output: folder; an older one is replaced only when the new one is complete.
        seed: of the split by user and of the order of records; not negative.
        num_shards: TFRecord files per split. Defaults to one per 32 MiB of input, 8 at least.
        compression: `"none"` or `"gzip"`.
        beam_options: options for Beam, such as `--direct_running_mode=multi_processing`. The
            runner defaults to Beam's local `FnApiRunner`.

    Raises:
        InputError: a file is missing, unreadable, cut off, or lacks a column, or no row is left for training.
        ValueError: an argument is out of range or unknown to Beam, or `output` holds something else.
    """
    if compression not in COMPRESSIONS:
        raise ValueError(
            f"preprocess: `compression` must be one of {list(COMPRESSIONS)}. Received: compression={compression!r}."
        )
    if seed < 0:
        raise ValueError(f"preprocess: `seed` must not be negative. Received: seed={seed!r}.")
    if num_shards is not None and num_shards < 1:
        raise ValueError(f"preprocess: `num_shards` must be positive. Received: num_shards={num_shards!r}.")
    options = pipeline_options(beam_options)
    files = expand(inputs)
    check_columns(files, columns.column_uses(problem))
    if num_shards is None:
        size = sum(FileSystems.match([path])[0].metadata_list[0].size_in_bytes for path in files)
        num_shards = max(_LEAST_SHARDS, -(-size // _BYTES_PER_SHARD))
    with OutputFolder(output) as folder:
        try:
            with beam.Pipeline(options=options) as pipeline:
                build(
                    pipeline,
                    problem,
                    files,
                    folder.partial,
                    seed=seed,
                    num_shards=num_shards,
                    compression="GZIP" if compression == "gzip" else "",
                )
        except (InputError, RuntimeError) as error:  # a worker process can only send the error's text
            found = _WORKERS_INPUT_ERROR.search(str(error))
            if found is None:
                raise
            raise InputError(found[1]) from error
        manifest: dict[str, Any] = folder.read_json("manifest.json")
        if not manifest["splits"]["train"]["examples"]:
            raise InputError(
                f"preprocess: no training example is left of {manifest['rows_in']} rows. "
                f"Rejected: {manifest['rows_rejected']}. Check the split and the rejected rows' reasons."
            )
    return manifest


def build(
    pipeline: beam.Pipeline,
    problem: Problem,
    files: Sequence[str],
    directory: str,
    *,
    seed: int,
    num_shards: int,
    compression: str,
) -> None:
    """Adds the job's stages to `pipeline`; everything is written below `directory`."""
    read = (
        pipeline
        | "files" >> beam.Create(list(enumerate(files)), reshuffle=False)
        | "read rows" >> stages.ReadRows(problem)
    )
    cuts: Any = (problem.split.valid_from or 0, problem.split.test_from or 0)
    if problem.split.needs_time_shares:
        cuts = beam.pvalue.AsSingleton(read.rows | "find time cuts" >> stages.FindTimeCuts(problem))
    rows = read.rows | "assign splits" >> stages.AssignSplits(problem, seed, cuts)
    statistics = rows | "fit statistics" >> stages.FitStatistics(problem)
    shards = rows | "write shards" >> stages.WriteShards(
        problem, beam.pvalue.AsSingleton(statistics), directory, num_shards, compression, seed
    )
    rejected = read[stages.REJECTED] | "write rejected" >> stages.WriteRejected(FileSystems.join(directory, "rejected"))

    def finish(
        statistics: TransformStatistics,
        read_counts: list[Mapping[str, int]],
        rejected_counts: list[Mapping[str, int]],
        shards: list[Mapping[str, Any]],
        problem: Problem,
        seed: int,
    ) -> None:
        manifest = build_manifest(problem, statistics, read_counts, rejected_counts, shards, seed, files)
        requests = [request for shard in sorted(shards, key=lambda s: s["bucket"]) for request in shard["requests"]]
        _write_fitted(problem, statistics, manifest, requests, directory)

    _ = statistics | "write manifest" >> beam.Map(
        finish,
        beam.pvalue.AsList(read[stages.COUNTS]),
        beam.pvalue.AsList(rejected),
        beam.pvalue.AsList(shards),
        problem,
        seed,
    )


def _write_fitted(
    problem: Problem,
    statistics: TransformStatistics,
    manifest: Mapping[str, Any],
    requests: Sequence[Mapping[str, Any]],
    directory: str,
) -> None:
    local = Path(tempfile.mkdtemp(prefix="tfmtl-fitted-"))
    try:
        statistics.save(local / "transform")
        problem.save(local / "transform" / "problem.yaml")
        (local / "manifest.json").write_text(
            json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        lines = [json.dumps(request, ensure_ascii=False) + "\n" for request in requests]
        (local / "requests.jsonl").write_text("".join(lines), encoding="utf-8")
        for path in sorted(p for p in local.rglob("*") if p.is_file()):
            stages.put(path, FileSystems.join(directory, *path.relative_to(local).parts))
    finally:
        shutil.rmtree(local)
