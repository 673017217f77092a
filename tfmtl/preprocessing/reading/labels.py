"""Read labels and row weights."""

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.features.conditions import holds
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.reading.raw_columns import RawColumns
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.schema import Problem, TaskRecord
from tfmtl.schema.keys import ROW_WEIGHT
from tfmtl.schema.tasks.task_record import WEIGHT
from tfmtl.tasks import behavior_of

_NO_LABEL = pa.scalar(None, pa.float32())


def add_labels(problem: Problem, raw: RawColumns, out: dict[str, pa.Array], rejections: Rejections) -> None:
    """Adds to canonical columns those of labels and of weights; what is wrong in them is rejected."""
    for task in problem.tasks:
        if task.late_window is None:
            counts = holds(task.condition, raw, len(out[columns.ROW]))
            for part, values in behavior_of(task).read_labels(raw).items():
                out[columns.label(task.label_keys[part])] = pc.if_else(counts, values, _NO_LABEL)
    for task in problem.late_tasks:
        _add_late_task(problem, task, raw, out)
    for task in problem.tasks:
        if task.parent is not None and task.can_be_parent and task not in problem.late_tasks:
            child, parent = out[columns.label(task.name)], out[columns.label(task.parent)]
            contradiction = pc.and_(pc.equal(child, 1.0), pc.equal(parent, 0.0))
            reason = f"label of task '{task.name}' is 1 while its parent '{task.parent}' is 0"
            rejections.add(pc.fill_null(contradiction, False), reason)
    if problem.keys.weight is not None:
        out[columns.label(ROW_WEIGHT)] = _weights(problem.keys.weight, raw, out[columns.IS_EXAMPLE])
    for task in problem.tasks:
        if task.weight_column is not None:
            needed = pc.and_(out[columns.IS_EXAMPLE], pc.is_valid(out[columns.label(task.name)]))
            out[columns.label(task.label_keys[WEIGHT])] = _weights(task.weight_column, raw, needed)


def _add_late_task(problem: Problem, task: TaskRecord, raw: RawColumns, out: dict[str, pa.Array]) -> None:
    """What the join of its labels needs; until then the label is 0 where the row counts."""
    assert task.late_window is not None
    num_rows = len(out[columns.ROW])
    out[columns.later(task.name)] = holds(task.late_window.condition, raw, num_rows)
    same = task.late_window.same
    if same is not None and columns.match(problem, same) not in out:
        out[columns.match(problem, same)] = raw.text(same)
    counts = holds(task.condition, raw, num_rows)
    out[columns.label(task.name)] = pc.if_else(counts, pa.scalar(0.0, pa.float32()), _NO_LABEL)


def _weights(name: str, raw: RawColumns, needed: pa.Array) -> pa.Array:
    """A column of weights as float32, 0 where none is needed; rows that need one and have none are rejected."""
    numbers = raw.number(name)
    weights = pc.cast(numbers, pa.float32(), safe=False)
    raw.reject(pc.and_(needed, pc.is_null(numbers)), f"weight '{name}' is missing", numbers)
    bad = pc.or_(pc.less(numbers, 0.0), pc.is_inf(weights))
    raw.reject(pc.and_(needed, bad), f"weight '{name}' is not a number of at least 0", numbers)
    return pc.if_else(needed, weights, pa.scalar(0.0, pa.float32()))
