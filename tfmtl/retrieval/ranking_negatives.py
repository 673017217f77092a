"""Prepare a log once more, with items beside its own that retrieval finds and nobody took."""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from tfmtl.data import PreparedData
from tfmtl.export.transform_record import TransformRecord
from tfmtl.export.versions import newest_version
from tfmtl.folders import ExportedVersion, PreparedFolder
from tfmtl.frames.arrow_table import as_files
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.local.run import run
from tfmtl.preprocessing.plan import Files, Plan
from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.writing.output_folder import OutputFolder
from tfmtl.retrieval.negative_draw import Search, item_of
from tfmtl.retrieval.negative_options import NegativeOptions
from tfmtl.retrieval.negative_plan import NegativePlan
from tfmtl.retrieval.retrieval_module import SCORE
from tfmtl.schema import BinaryTask, NumericFeature, Problem
from tfmtl.schema.checks import error_text

_ROWS, _BATCHES = 2048, 4  # of training rows, whose candidates' logits are looked at


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
    1 on rows of the log and 0 on negatives, where all other labels are missing. Features that are derived, such as
    `match` and `rate`, are those of the negative at the row's time. Negatives are no events of any sequence and part of
    no vocabulary, statistic or rate: these are those of `data`, so that retrieval fits to both.

    A negative of a row is one of the items that retrieval finds for it: neither its own nor one in its sequences, nor
    an item that the user takes at this time or later, as far as rows of its split and earlier splits tell, nor one that
    first comes up later in the log. Its features of side `item` are those in the retrieval's index, as in a request.
    All splits get negatives. A row whose own item retrieval does not find has none; there `options.task` is missing.
    With `options.score` the problem has the feature `retrieval`, too: retrieval's logit of an item that it finds.

    Args:
        data: `PreparedData` of the log.
        log: the log that was prepared, as `tfmtl.prepare` took it; `None`: the files that were prepared, where they lay
            then.
        retrieval: folder of versions that `fit_retrieval` wrote for `data`, of which the newest is taken, or one
            version.
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
        of_log = Plan(data.problem, "", 1)
        found = _files(of_log, logged)
        plan = NegativePlan(
            _extended(data.problem, options),
            files.absolute(output.partial),
            sum(name.startswith("train/") for name in data.manifest["files"]),
            data.manifest["seed"],
            logged=data.problem,
            statistics=data.statistics,
            retrieval=str(version.path),
            options=options,
            first_times=_first_times(of_log, found, version),
            score_moments=_moments(Search(data.problem, version), data, options.candidates),
        )
        with output:
            run(plan, found, {path: name for (_, path), name in zip(found, data.manifest["inputs"], strict=False)})
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


def _extended(problem: Problem, options: NegativeOptions) -> Problem:
    """The problem of a ranking that is trained with negatives."""
    names = [feature.name for feature in problem.features] + [sequence.name for sequence in problem.sequences]
    names += [task.name for task in problem.tasks]
    if options.task in [*names, SCORE]:
        rule = "be none of the problem's own names"
        raise ValueError(error_text("negatives", "task", rule, options.task, "Choose another name."))
    score = (NumericFeature(SCORE, transform="z_score", side="item"),) if options.score else ()
    return replace(problem, features=(*problem.features, *score), tasks=(*problem.tasks, BinaryTask(options.task)))


def _moments(search: Search, data: PreparedData, candidates: int) -> tuple[float, float]:
    """Mean and standard deviation of the candidates' logits, of some training rows."""
    parts = []
    for features, _, _ in data.split("train", _ROWS).take(_BATCHES):
        _, logits, is_item = search(features, candidates)
        parts.append(logits[is_item].astype(np.float64))
    logits = np.concatenate(parts)
    return float(logits.mean()), float(logits.std())


def _files(plan: Plan, logged: Any) -> Files:
    try:
        return plan.find_files(list(logged)).files
    except InputError as error:
        raise InputError(f"{error} Give the log that was prepared.") from error


def _first_times(plan: Plan, found: Files, version: ExportedVersion) -> npt.NDArray[np.int64]:
    """When each item of the index came up in the log; 0 where the log has no times."""
    item = item_of(version)
    items = pa.table({item: parquet.read_table(version.items, columns=[item])[item]})
    if plan.problem.keys.time is None:
        return np.zeros(items.num_rows, np.int64)
    parts = (
        _earliest([pa.Table.from_batches([batch.rows.select([item, columns.TIME])])], item)
        for number, path in found
        for batch in plan.read(number, path)
    )
    first = _earliest(parts, item)
    places = pc.index_in(items[item], first[item].combine_chunks())
    return np.asarray(pc.fill_null(first[columns.TIME].take(places), 0).to_numpy())


def _earliest(parts: Iterable[pa.Table], item: str) -> pa.Table:
    """The first time of every item."""
    rows = pa.concat_tables(parts)
    return rows.group_by(item).aggregate([(columns.TIME, "min")]).rename_columns([item, columns.TIME])


def _finish(output: OutputFolder, data: PreparedData, version: ExportedVersion, options: NegativeOptions) -> None:
    """Checks that the examples are those of the data, and writes into the manifest where negatives come from."""
    made = PreparedFolder(output.partial)
    manifest = made.read_manifest()
    expected, found = data.manifest["rows_written"], manifest["rows_written"]
    if found != expected:
        raise InputError(
            f"negatives: the log must be the one that was prepared, with {expected} examples. Received: {found} "
            "examples. Give that log (--log: where it lies now), or prepare the data again."
        )
    made.write_manifest({**manifest, "negatives": {"retrieval": str(version.path.resolve()), **asdict(options)}})
