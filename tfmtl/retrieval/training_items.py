"""The items of a log's training split, each with the features it had last."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data import PreparedData
from tfmtl.data.example_spec import candidate_features
from tfmtl.frames.arrow_table import as_files
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.plan import Cuts, Files, Key, Plan, worth_merging
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.retrieval.retrieval_options import RetrievalOptions
from tfmtl.schema import SPLITS, Problem, RequestInput


def training_items(data: PreparedData, log: Any = None, *, item: str | None = None) -> pa.Table:
    """The raw features of side `item` of every item in the training split, in the order of their ids.

    They are what `fit_retrieval` indexes. Prepared records hold what the transformation made of a feature, which cannot
    be turned back, so the log is read again. Rows that are no examples count too: vocabularies are made of them, too.

    Args:
        data: `PreparedData`.
        log: the log that was prepared, as `tfmtl.prepare` took it: a DataFrame, an Arrow table, ..., or paths of files.
            Defaults to `None`: the files that were prepared, where they lay then.
        item: str. The feature that identifies an item; rows without it are none of an item. Defaults to `None`: the
            first of side item that is single-valued and has a vocabulary.

    Returns:
        A row per item and a column per feature; `""`, `[]` or NaN where missing, as in a request.

    Raises:
        InputError: the log is not there, or not the one that was prepared.
        TypeError: the log is no table and no path.
        ValueError: the problem has no such item, or no binary task for retrieval to learn.

    Example:

    >>> import pyarrow as pa, tfmtl
    >>> items = [f"i{n % 7}" for n in range(60)]
    >>> log = pa.table({"item": items, "click": [n % 3 // 2 for n in range(60)]})
    >>> data = tfmtl.prepare(log, tfmtl.propose(log, labels="click", item="item"))
    >>> tfmtl.retrieval.training_items(data, log).num_rows
    7
    """
    chosen = str(RetrievalOptions(item=item).resolved(data.problem).item)
    with tempfile.TemporaryDirectory(prefix="tfmtl-frame-") as temporary:
        paths = data.manifest["inputs"] if log is None else as_files("retrieve", log, data.problem, Path(temporary))
        return _items(data, chosen, list(paths))


def _items(data: PreparedData, item: str, paths: Sequence[str]) -> pa.Table:
    problem = data.problem
    plan = Plan(problem, "", 1, data.manifest["seed"])
    try:
        files = plan.find_files(paths).files
    except InputError as error:
        raise InputError(f"{error} Give the log that was prepared.") from error
    cuts = _find_cuts(plan, files)
    names = list(dict.fromkeys([item, *candidate_features(problem)]))
    order = [columns.TIME] if problem.keys.time else []
    order += [columns.FILE, columns.ROW]
    held: list[pa.Table] = []
    examples = 0
    for number, path in files:
        for batch in plan.read(number, path):
            rows = plan.assign_split(batch.rows, cuts)
            rows = rows.filter(pc.equal(rows.column(columns.SPLIT), SPLITS.index("train")))
            examples += pc.sum(rows.column(columns.IS_EXAMPLE)).as_py() or 0
            has_item = pc.is_valid(rows.column(item))
            held.append(pa.Table.from_batches([rows.filter(has_item).select([*names, *order])]))
            if worth_merging(held):
                held = [_latest(held, item, order)]
    if examples != data.num_examples("train"):
        raise InputError(
            f"retrieve: the log must be the one that was prepared, with {data.num_examples('train')} training "
            f"examples. Received: {examples} in {[path for _, path in files]}. Give that log (--log: where it lies "
            "now), or prepare the data again."
        )
    return _without_nulls(problem, _latest(held, item, order).select(names))


def _find_cuts(plan: Plan, files: Files) -> Cuts:
    times: dict[Key, pa.Table] = {}
    if plan.counts_times:
        for number, path in files:
            for batch in plan.read(number, path):
                for key, table in plan.count_times(batch.rows):
                    times[key] = plan.merge_times([times[key], table]) if key in times else table
    return plan.find_cuts(times)


def _latest(tables: Sequence[pa.Table], item: str, order: Sequence[str]) -> pa.Table:
    """The last row of every item."""
    rows = pa.concat_tables(tables).combine_chunks().sort_by([(name, "ascending") for name in (item, *order)])
    ids = pa.array(rows[item].to_pylist(), pa.string()) if rows[item].num_chunks > 1 else rows[item].combine_chunks()
    is_last = np.append(pc.not_equal(ids.slice(1), ids.slice(0, max(0, len(ids) - 1))).to_numpy(False), True)
    return rows.filter(pa.array(is_last[: len(ids)]))


def _without_nulls(problem: Problem, rows: pa.Table) -> pa.Table:
    inputs = {each.key: each for each in problem.inputs}
    return pa.table({name: _filled(inputs[name], rows[name]) for name in rows.column_names})


def _filled(given: RequestInput, column: pa.ChunkedArray) -> pa.Array:
    if not given.inner:
        return pc.fill_null(column, given.missing)
    return pa.array([given.missing if values is None else values for values in column.to_pylist()], column.type)
