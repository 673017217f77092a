"""The preprocessing job, whatever runs it: an older output is replaced only by a complete new one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tfmtl.preprocessing.fitting.label_classes import is_about_rows
from tfmtl.preprocessing.plan import Files, Plan
from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.writing.kept_rejected import keep_rejected
from tfmtl.preprocessing.writing.output_folder import OutputFolder, scratch
from tfmtl.schema import Problem

_BYTES_PER_SHARD = 32 << 20
_LEAST_SHARDS = 8
_COPIES = "inputs"


def run_job(
    run: Callable[[Plan, Files], None],
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
    copy_inputs: Callable[[str], Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Runs the job and returns the manifest it wrote.

    Args:
        run: what carries out a plan on files.
        problem: `Problem`.
        inputs: files, patterns or folders.
        output: folder; an older one is replaced only when the new one is complete.
        seed: of the split by user and of the order of records; not negative. Defaults to `0`.
        num_shards: TFRecord files per split. Defaults to `None`: one per 32 MiB of input, 8 at least.
        compression: `"none"` or `"gzip"`. Defaults to `"none"`.
        transform_from: an earlier output whose vocabularies and statistics are used. Defaults to `None`.
        extend_vocabularies: whether new values are appended to its vocabularies. Defaults to `False`.
        split_file: whether to write `split.parquet` as well. Defaults to `False`.
        copy_inputs: function of a new folder, this job's own, which goes when the job has ended. Copies into it what of
            `inputs` is no file, and returns the inputs with the copies in its place. Defaults to `None`: all are files.

    Raises:
        InputError: a file is missing, unreadable, cut off, or lacks a column, or no row is left for training.
        ProblemError: a new problem breaks a rule that stored ones may be older than.
        ValueError: an argument is out of range, or `output` holds something else.
    """
    folder = OutputFolder(output)
    plan = Plan.checked(
        problem,
        files.absolute(folder.partial),
        _LEAST_SHARDS if num_shards is None else num_shards,
        seed,
        compression,
        transform_from,
        extend_vocabularies,
        split_file,
    )
    if copy_inputs is None:
        found = plan.find_files(inputs)  # before anything is touched
    with folder:
        if copy_inputs is not None:  # behind the lock, which removes what a killed job has copied
            found = plan.find_files(copy_inputs(f"{scratch(plan.directory)}/{_COPIES}"))
        plan = replace(plan, warnings=found.warnings)
        if num_shards is None:
            size = sum(files.size(path) for _, path in found.files)
            plan = replace(plan, num_shards=max(_LEAST_SHARDS, -(-size // _BYTES_PER_SHARD)))
        try:
            run(plan, found.files)
        except InputError as error:
            kept = keep_rejected(folder.partial, output) if is_about_rows(error) else None
            if kept is None:
                raise
            raise InputError(f"{error} The rejected rows lie in '{kept}'.") from error
        return folder.read_manifest()
