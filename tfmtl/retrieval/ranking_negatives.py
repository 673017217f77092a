"""Prepare a log once more, with items beside its own that retrieval finds and nobody took."""

import os
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tfmtl.data import PreparedData
from tfmtl.export.transform_record import TransformRecord
from tfmtl.export.versions import newest_version
from tfmtl.folders import ExportedVersion, PreparedFolder
from tfmtl.frames.arrow_table import as_files
from tfmtl.preprocessing.local.run import run
from tfmtl.preprocessing.plan import Files
from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.writing.output_folder import OutputFolder
from tfmtl.retrieval.negative_options import NegativeOptions
from tfmtl.retrieval.negative_plan import NegativePlan
from tfmtl.schema import BinaryTask, Problem
from tfmtl.schema.checks import error_text


def ranking_negatives(
    data: PreparedData,
    log: Any,
    retrieval: str | Path,
    folder: str | Path,
    options: NegativeOptions | None = None,
) -> PreparedData:
    """Prepares a log of what users took together with negatives: items that retrieval finds and they did not take.

    A ranking that is trained on what was taken alone can tell how much it was liked, but not whether an item would be
    taken, which is what orders a list of candidates. The result has every example of `data` and, beside it, negatives
    of it: the same user, history and time with another item. Its problem has one task more, `options.task`, which is
    1 on the log's rows and 0 on negatives, where all other labels are missing. Features that are derived, such as
    `match` and `rate`, are those of the negative at the row's time. Negatives are no events of any sequence and part of
    no vocabulary, statistic or rate: these are those of `data`, so that retrieval fits to both.

    A negative of a row is never its own item or one in its sequences, nor an item that the user takes at this time or,
    unless `keep_later`, after it, as far as the rows of its split and earlier splits tell. Its features of side `item`
    are those in the retrieval's index, as in a request. All splits get negatives.

    Args:
        data: `PreparedData` of the log.
        log: the log that was prepared, as `tfmtl.prepare` took it; `None`: the files that were prepared, where they lay
            then.
        retrieval: folder of versions that `fit_retrieval` wrote for `data`, of which the newest is taken, or one of them.
        folder: where the data are kept; an earlier output there is replaced.
        options: `NegativeOptions`. Defaults to `None`: all defaults.

    Raises:
        FileNotFoundError: the folder of the retrieval holds no version.
        InputError: the log is not there, or not the one that was prepared.
        ValueError: the retrieval is of other data, the new task's name is taken, no negative is left, or `folder`
            holds something else.

    Example:

    ```python
    items = tfmtl.retrieval.training_items(data, log)
    retrieval = tfmtl.retrieval.fit_retrieval(data, items, "retrieval")
    ranked = tfmtl.retrieval.ranking_negatives(data, log, retrieval, "ranked")
    model = tfmtl.training.fit(ranked, "run")
    ```
    """
    options = options or NegativeOptions()
    version = newest_version("negatives", "retrieval", Path(retrieval))
    _check_fits(data, version)
    output = OutputFolder(os.fspath(folder))
    with tempfile.TemporaryDirectory(prefix="tfmtl-frame-") as temporary:
        logged = data.manifest["inputs"] if log is None else as_files("negatives", log, data.problem, Path(temporary))
        plan = NegativePlan(
            _with_task(data.problem, options.task),
            files.absolute(output.partial),
            sum(name.startswith("train/") for name in data.manifest["files"]),
            data.manifest["seed"],
            logged=data.problem,
            statistics=data.statistics,
            retrieval=str(version.path),
            options=options,
        )
        found = _files(plan, logged)
        with output:
            run(plan, found)
            _finish(output, data, version, options)
    return PreparedData(folder)


def _check_fits(data: PreparedData, version: ExportedVersion) -> None:
    received = str(version.path)
    if not version.retrieval.is_file():
        rule = "be a folder that `tfmtl retrieve` wrote"
        raise ValueError(error_text("negatives", "retrieval", rule, received, "Run `tfmtl retrieve` and take that."))
    differing = data.problem.differing_parts(version.read_problem())
    if not TransformRecord.of(data).agrees_with(TransformRecord.load(version.transform)):
        differing = [*differing, "vocabularies and statistics"]
    if differing:
        rule = f"have been trained on the data, but they differ in {', '.join(differing)}"
        raise ValueError(error_text("negatives", "retrieval", rule, received, "Run `tfmtl retrieve` on this folder."))


def _with_task(problem: Problem, task: str) -> Problem:
    names = [each.name for each in (*problem.features, *problem.tasks, *problem.sequences)]
    if task in names:
        rule = "be none of the problem's own names"
        raise ValueError(error_text("negatives", "task", rule, task, "Choose another name."))
    return replace(problem, tasks=(*problem.tasks, BinaryTask(task)))


def _files(plan: NegativePlan, logged: Any) -> Files:
    try:
        return plan.find_files(list(logged)).files
    except InputError as error:
        raise InputError(f"{error} Give the log that was prepared.") from error


def _finish(output: OutputFolder, data: PreparedData, version: ExportedVersion, options: NegativeOptions) -> None:
    """Checks that the examples are those of the data, and writes into the manifest where negatives come from."""
    made = PreparedFolder(output.partial)
    manifest = made.read_manifest()
    if manifest["rows_written"] != data.manifest["rows_written"]:
        raise InputError(
            f"negatives: the log must be the one that was prepared, with {data.manifest['rows_written']} examples. "
            f"Received: {manifest['rows_written']} in {manifest['inputs']}. Give that log (--log: where it lies now), or prepare the "
            "data again."
        )
    made.write_manifest({**manifest, "negatives": {"retrieval": str(version.path.resolve()), **asdict(options)}})
