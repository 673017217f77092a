"""The items of a log's training split, each with the features it had last."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data import PreparedData
from tfmtl.data.example_spec import candidate_features
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.plan import Cuts, Files, Key, Plan, worth_merging
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.schema import SPLITS, Problem, RequestInput


def training_items(data: PreparedData, item: str, inputs: Sequence[str] | None = None) -> pa.Table:
    """The raw features of side `item` of every item in the training split, in the order of their ids.

    Records hold what the transformation made of a feature, which cannot be turned back, so the log is read again. Rows
    that are no examples count too: vocabularies are made of them as well.

    Args:
        data: output of `preprocess`.
        item: the feature that identifies an item; rows without it are none of an item.
        inputs: where the log lies now. Defaults to where `preprocess` found it.

    Returns:
        A column per feature; `""`, `[]` or NaN where missing, as in a request.

    Raises:
        InputError: the log is not there, or not the one that was preprocessed.
    """
    problem = data.problem
    plan = Plan(problem, "", 1, data.manifest["seed"])
    files = plan.find_files(data.manifest["inputs"] if inputs is None else inputs).files
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
            f"retrieve: the log must be the one that was preprocessed, with {data.num_examples('train')} training "
            f"examples. Received: {examples} in {[path for _, path in files]}. Say where it lies with --log, or run "
            "the preprocessing again."
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
