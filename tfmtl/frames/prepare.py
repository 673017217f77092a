"""Prepare a data frame or files for training, in this process."""

import os
import shutil
import tempfile
import weakref
from functools import partial
from pathlib import Path
from typing import Any

from tfmtl.data import PreparedData
from tfmtl.folders import PreparedFolder
from tfmtl.frames.arrow_table import as_files, paths_of, shown_name
from tfmtl.frames.proposed_problem import ProposedProblem
from tfmtl.preprocessing.job import run_job
from tfmtl.preprocessing.local.run import run as run_here
from tfmtl.schema import Problem
from tfmtl.schema.checks import error_text


def prepare(
    frame: Any,
    problem: Problem | ProposedProblem | str | Path,
    folder: str | Path | None = None,
    *,
    seed: int = 0,
    num_shards: int | None = None,
    compression: str = "none",
    transform_from: PreparedFolder | str | Path | None = None,
    extend_vocabularies: bool = False,
) -> PreparedData:
    """Turns a log into training data: what `tfmtl preprocess` does and writes, without Beam and in this process.

    Bad rows are left out and counted; `rejected()` of the result returns them with their reasons.

    Args:
        frame: as `propose` takes it: a pandas or polars DataFrame, an Arrow table, ..., or paths of files. A frame of
            the same rows, in the same order, gives the same records as a file of them.
        problem: `Problem`, what `propose` returned, or the path of a problem file.
        folder: where the data are kept; an earlier output there is replaced. Defaults to `None`: in a temporary folder,
            which is removed with the last object that reads from it.
        seed: int. Of the split by user and of the order of records. Defaults to `0`.
        num_shards: int. TFRecord files per split. Defaults to `None`: one per 32 MiB of input, 8 at least.
        compression: str. `"none"` or `"gzip"`. Defaults to `"none"`.
        transform_from: earlier `PreparedData`, or its folder, whose vocabularies and statistics are used instead of
            fitting new ones: for the next day's log. Defaults to `None`.
        extend_vocabularies: bool. Whether new values of this log are appended to them. Defaults to `False`.

    Raises:
        InputError: a column of the problem is missing, or no row is left for training.
        TypeError: the frame is no table and no path, or the problem none.
        ValueError: an argument is out of range, or the folder holds something else.

    Example:

    >>> import pyarrow as pa, tfmtl
    >>> log = pa.table({"item": [f"i{n % 7}" for n in range(60)], "click": [n % 3 // 2 for n in range(60)]})
    >>> data = tfmtl.prepare(log, tfmtl.propose(log, labels="click", item="item"))
    >>> sum(data.num_examples(split) for split in ("train", "valid", "test"))
    60
    """
    described = _problem(problem)
    taken = transform_from.directory if isinstance(transform_from, PreparedFolder) else transform_from
    options: dict[str, Any] = {
        "seed": seed,
        "num_shards": num_shards,
        "compression": compression,
        "transform_from": None if taken is None else os.fspath(taken),
        "extend_vocabularies": extend_vocabularies,
    }
    with tempfile.TemporaryDirectory(prefix="tfmtl-frame-") as temporary:
        paths = as_files("prepare", frame, described, Path(temporary))
        names = {} if paths_of(frame) else {paths[0]: shown_name(frame)}
        run = partial(run_here, names=names)
        if folder is not None:
            run_job(run, described, paths, os.fspath(folder), **options)
            return PreparedData(folder)
        own = tempfile.mkdtemp(prefix="tfmtl-data-")
        try:
            run_job(run, described, paths, str(Path(own, "data")), **options)
            return _TemporaryData(own)
        except BaseException:
            _remove_unless_rejected(own)
            raise


class _TemporaryData(PreparedData):
    """Prepared data whose folder is removed with the object, and at the end of the process at the latest."""

    def __init__(self, own: str) -> None:
        super().__init__(Path(own, "data"))
        weakref.finalize(self, shutil.rmtree, own, ignore_errors=True)


def _problem(problem: Any) -> Problem:
    if isinstance(problem, Problem):
        return problem
    if isinstance(problem, ProposedProblem):
        return problem.problem
    if isinstance(problem, str | os.PathLike):
        return Problem.load(Path(problem))
    advice = "Give what tfmtl.propose returned, or the path of a problem file."
    raise TypeError(error_text("prepare", "problem", "be a Problem", problem, advice))


def _remove_unless_rejected(own: str) -> None:
    """Removes the folder of a job that failed; rejected rows that the error names stay until the process ends."""
    if any(Path(own).glob("*.rejected")):
        weakref.finalize(Problem, shutil.rmtree, own, ignore_errors=True)
    else:
        shutil.rmtree(own, ignore_errors=True)
