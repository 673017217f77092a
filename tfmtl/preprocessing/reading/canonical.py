"""Raw columns to typed canonical ones; rows that cannot be read leave with a reason."""

from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing import columns
from tfmtl.preprocessing.reading.noticed import Noticed
from tfmtl.preprocessing.reading.raw_columns import RawColumns
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.schema import SPLITS, BinaryTask, CategoricalFeature, Condition, Problem
from tfmtl.schema.clause import AllOf, AnyOf, Expression, Not

_COMPARE = {
    "==": pc.equal,
    "!=": pc.not_equal,
    ">=": pc.greater_equal,
    "<=": pc.less_equal,
    ">": pc.greater,
    "<": pc.less,
}
_NO_LABEL = pa.scalar(None, pa.float32())


def canonicalize(
    problem: Problem, batch: pa.RecordBatch, file: int, numbers: np.ndarray, noticed: Noticed | None = None
) -> tuple[pa.RecordBatch, list[tuple[int, str]]]:
    """Parses a raw batch.

    Args:
        problem: `Problem`.
        batch: the raw columns of `columns.raw_columns(problem)`.
        file: number of the file, part of the row's identity.
        numbers: `(rows,)`, of the batch's rows in that file.
        noticed: where readable values that are hardly meant so are counted. Defaults to `None`: nowhere.

    Returns:
        The canonical batch of the good rows, and `(row in the batch, reason)` of the others.
    """
    rejections = Rejections(batch.num_rows)
    raw = RawColumns(batch, rejections, noticed, columns.missing_texts(problem))
    out: dict[str, pa.Array] = {
        columns.FILE: pa.array(np.full(batch.num_rows, file, np.int32)),
        columns.ROW: pa.array(numbers, pa.int64()),
    }
    keys = problem.keys
    if keys.user is not None:
        out[columns.USER] = raw.text(keys.user)
        rejections.add(pc.is_null(out[columns.USER]), f"column '{keys.user}' (the user) is missing")
    if keys.time is not None:
        out[columns.TIME] = raw.time(keys.time, keys)
    if keys.order is not None:
        out[columns.ORDER] = raw.number(keys.order)
        rejections.add(pc.is_null(out[columns.ORDER]), f"column '{keys.order}' (the order) is missing")
    if problem.group_column is not None:
        out[columns.GROUP] = raw.text(problem.group_column)
    for feature in problem.features:
        if not isinstance(feature, CategoricalFeature):
            out[feature.name] = pc.cast(raw.number(feature.column_name), pa.float32(), safe=False)
        elif feature.multi_valued:
            out[feature.name] = raw.lists(feature.column_name, feature.separator, feature.max_values, feature.format)
        else:
            out[feature.name] = raw.text(feature.column_name)
    out[columns.IS_EXAMPLE] = _holds(problem.examples_condition, raw, batch.num_rows)
    for sequence in problem.sequences:
        out[columns.event(sequence.name)] = _holds(sequence.condition, raw, batch.num_rows)
    _add_labels(problem, raw, out, rejections)
    if problem.split.column is not None:
        out[columns.SPLIT] = _split_index(raw.text(problem.split.column), rejections)
    kept = pa.RecordBatch.from_arrays(list(out.values()), names=list(out)).filter(pa.array(rejections.kept))
    return kept, rejections.reasons


def _holds(condition: Condition | None, raw: RawColumns, num_rows: int) -> pa.Array:
    """Where the condition holds; `None` holds everywhere, what is unknown does not."""
    if condition is None:
        return pa.array(np.ones(num_rows, bool))
    return pc.fill_null(_truth(condition.expression, raw), False)


def _truth(expression: Expression, raw: RawColumns) -> pa.Array:
    """True, false, or null where a missing value leaves it unknown."""
    if isinstance(expression, Not):
        return pc.invert(_truth(expression.part, raw))
    if isinstance(expression, AllOf | AnyOf):
        join = pc.and_kleene if isinstance(expression, AllOf) else pc.or_kleene
        return reduce(join, [_truth(part, raw) for part in expression.parts])
    column = raw.text(expression.column) if expression.reads_text else raw.number(expression.column)
    if expression.operator == "in":
        known = pc.is_in(column, pa.array(expression.value, column.type))
        return pc.if_else(pc.is_valid(column), known, pa.scalar(None, pa.bool_()))
    return _COMPARE[expression.operator](column, expression.value)


def _add_labels(problem: Problem, raw: RawColumns, out: dict[str, pa.Array], rejections: Rejections) -> None:
    for task in problem.tasks:
        name = task.label_column
        if name is None:
            continue
        if isinstance(task, BinaryTask) and task.positive is not None:
            numbers = pc.cast(pc.equal(raw.text(name), task.positive), pa.float64())
            raw.notice_texts(f"label_text/{task.name}", name)
        else:
            numbers = raw.number(name)
        labels = pc.cast(numbers, pa.float32(), safe=False)
        if isinstance(task, BinaryTask):
            bad = pc.invert(pc.is_in(numbers, pa.array([0.0, 1.0, None])))
            rejections.add(bad, f"label '{name}' is neither 0 nor 1", numbers)
        else:
            bad = pc.fill_null(pc.is_inf(labels), False)
            rejections.add(bad, f"label '{name}' is not finite in float32", numbers)
        counts = _holds(task.condition, raw, len(labels))
        out[columns.label(task.name)] = pc.if_else(counts, labels, _NO_LABEL)
    for task in problem.late_tasks:
        _add_late_task(problem, task, raw, out)
    for task in problem.tasks:
        if task.parent is not None and isinstance(task, BinaryTask) and task not in problem.late_tasks:
            child, parent = out[columns.label(task.name)], out[columns.label(task.parent)]
            contradiction = pc.and_(pc.equal(child, 1.0), pc.equal(parent, 0.0))
            reason = f"label of task '{task.name}' is 1 while its parent '{task.parent}' is 0"
            rejections.add(pc.fill_null(contradiction, False), reason)


def _add_late_task(problem: Problem, task: BinaryTask, raw: RawColumns, out: dict[str, pa.Array]) -> None:
    """What the join of its labels needs; until then the label is 0 where the row counts."""
    assert task.label_window is not None
    num_rows = len(out[columns.ROW])
    out[columns.later(task.name)] = _holds(task.label_window.condition, raw, num_rows)
    same = task.label_window.same
    if same is not None and columns.match(problem, same) not in out:
        out[columns.match(problem, same)] = raw.text(same)
    counts = _holds(task.condition, raw, num_rows)
    out[columns.label(task.name)] = pc.if_else(counts, pa.scalar(0.0, pa.float32()), _NO_LABEL)


def _split_index(column: pa.Array, rejections: Rejections) -> pa.Array:
    index = pc.index_in(column, pa.array(SPLITS))
    rejections.add(pc.is_null(index), f"split is none of {', '.join(SPLITS)}", column)
    return pc.cast(pc.fill_null(index, 0), pa.int8())
