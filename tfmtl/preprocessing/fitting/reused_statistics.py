"""Reuse an earlier transformation for another day's log: known ids stay, new values are appended."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features.feature_behavior import Column
from tfmtl.folders import PreparedFolder
from tfmtl.folders.fitted_files import FittedFiles
from tfmtl.folders.folder_format import check_format
from tfmtl.preprocessing.fitting.analyze import fitting, joined_states
from tfmtl.preprocessing.reading import files
from tfmtl.schema import Problem


def read_statistics(problem: Problem, folder: str) -> TransformStatistics:
    """The statistics of an earlier output.

    Args:
        problem: `Problem` of the new log.
        folder: output of `tfmtl preprocess`, on any file system that Beam knows.

    Raises:
        ValueError: the folder is not such an output, or was written for another problem; `split` and `examples` may
            differ.
        FolderError: a later version of the package wrote it.
    """
    check_format("preprocess", folder, read_manifest(folder), PreparedFolder.FORMAT)
    source = files.join(folder.rstrip("/"), PreparedFolder.TRANSFORM, "")
    with tempfile.TemporaryDirectory(prefix="tfmtl-taken-") as local:
        for path in files.match([f"{source}**"]):
            copy = Path(local, path.removeprefix(source))
            copy.parent.mkdir(parents=True, exist_ok=True)
            with files.open_file(path) as stream:
                copy.write_bytes(stream.read())
        fitted = FittedFiles(local)
        if not fitted.are_there:
            raise ValueError(
                "preprocess: `transform_from` must be the output of `tfmtl preprocess`. Received: "
                f"transform_from='{folder}', which has no fitted transformation. Give the folder of an earlier day."
            )
        differing = problem.differing_parts(Problem.load(fitted.problem))
        if differing:
            raise ValueError(
                "preprocess: `transform_from` must have been written for the same problem, but for `split` and "
                f"`examples`. Received: transform_from='{folder}', which differs in {', '.join(differing)}. Use its "
                "problem file, or fit anew."
            )
        return TransformStatistics.load(local)


def read_manifest(folder: str) -> dict[str, Any]:
    """The manifest of an earlier output; empty where there is none."""
    found: dict[str, Any] = {}
    for path in files.match([files.join(folder.rstrip("/"), PreparedFolder.MANIFEST)]):
        with files.open_file(path) as stream:
            found = json.loads(stream.read())
    return found


def extend_statistics(
    problem: Problem, statistics: TransformStatistics, counts: Mapping[Column, pa.Table]
) -> TransformStatistics:
    """The statistics with the new log's values appended to the known ones; everything else is unchanged.

    What another day adds is said by the kinds of features: ids keep their meaning, and new ones come behind them.

    Args:
        problem: `Problem`.
        statistics: the earlier statistics, whose ids are kept.
        counts: merged counts of the new log's training rows.
    """
    found = joined_states(behavior.extend(statistics, counts) for behavior in fitting(problem) if behavior.extends)
    changed: dict[str, Any] = {
        part: {**getattr(statistics, part), **values}
        for part, values in found.items()
        if part != "notes" and any(getattr(statistics, part).get(name) != value for name, value in values.items())
    }
    if not changed:
        return statistics
    return replace(statistics, **changed, extends=(*statistics.extends, statistics.digest))


def reused_facts(folder: str, taken: TransformStatistics, statistics: TransformStatistics) -> dict[str, object]:
    """For the manifest: the folder of the reused transformation, and the number of new values per vocabulary."""
    added = {table: len(values) - len(taken.vocabularies[table]) for table, values in statistics.vocabularies.items()}
    return {"folder": folder, "digest": taken.digest, "added_values": added}
