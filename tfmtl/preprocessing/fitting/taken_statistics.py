"""A new day's log with yesterday's transformation: ids stay what they are, and new values go behind them."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.folders import PreparedFolder
from tfmtl.folders.fitted_files import FittedFiles
from tfmtl.folders.folder_format import check_format
from tfmtl.preprocessing.fitting.analyze import TABLE, Column, ranked_values
from tfmtl.preprocessing.reading import files
from tfmtl.schema import CategoricalFeature, Problem


def read_statistics(problem: Problem, folder: str) -> TransformStatistics:
    """The statistics of an earlier output.

    Args:
        problem: `Problem` of the new log.
        folder: output of `tfmtl preprocess`, on any file system that Beam knows.

    Raises:
        ValueError: the folder is none, or was written for another problem; `split` and `examples` may differ.
        FolderError: a later version of the package wrote it.
    """
    for path in files.match([files.join(folder.rstrip("/"), PreparedFolder.MANIFEST)]):
        with files.open_file(path) as stream:
            check_format("preprocess", folder, json.loads(stream.read()), PreparedFolder.FORMAT)
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
        differing = problem.what_differs(Problem.load(fitted.problem))
        if differing:
            raise ValueError(
                "preprocess: `transform_from` must have been written for the same problem, but for `split` and "
                f"`examples`. Received: transform_from='{folder}', which differs in {', '.join(differing)}. Use its "
                "problem file, or fit anew."
            )
        return TransformStatistics.load(local)


def extend_statistics(
    problem: Problem, statistics: TransformStatistics, counts: Mapping[Column, pa.Table]
) -> TransformStatistics:
    """The statistics with the new log's values behind the known ones, and all else as it was.

    A new value has to occur `min_count` times in the new training split, whatever it did before. The new ones come in
    order of their counts, equal counts in text order, until the vocabulary holds `max_size`; known ones never leave.

    Args:
        problem: `Problem`.
        statistics: what the ids are taken from.
        counts: merged counts of the new log's training rows.
    """
    vocabularies, vocabulary_counts = dict(statistics.vocabularies), dict(statistics.vocabulary_counts)
    for table in statistics.vocabularies:
        feature = problem.tables[table][0]
        assert isinstance(feature, CategoricalFeature)  # no other has a vocabulary
        known = set(vocabularies[table])
        new = [pair for pair in ranked_values(feature, counts.get((TABLE, table))) if pair[0] not in known]
        if feature.max_size is not None:
            new = new[: max(0, feature.max_size - len(known))]
        vocabularies[table] = (*vocabularies[table], *(value for value, _ in new))
        vocabulary_counts[table] = (*vocabulary_counts[table], *(count for _, count in new))
    if vocabularies == dict(statistics.vocabularies):
        return statistics
    extends = (*statistics.extends, statistics.digest)
    return replace(statistics, vocabularies=vocabularies, vocabulary_counts=vocabulary_counts, extends=extends)


def taken_facts(folder: str, taken: TransformStatistics, statistics: TransformStatistics) -> dict[str, object]:
    """For the manifest: whose transformation it is, and how many values every vocabulary gained."""
    added = {table: len(values) - len(taken.vocabularies[table]) for table, values in statistics.vocabularies.items()}
    return {"folder": folder, "digest": taken.digest, "added_values": added}
