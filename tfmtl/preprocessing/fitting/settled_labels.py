"""Settle labels that depend on the observation time: censored where the next split begins."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.label_windows import KnownUntil
from tfmtl.schema import Problem, TaskRecord
from tfmtl.tasks import behavior_of

_NEVER = np.iinfo(np.int64).max


def are_settled(problem: Problem) -> bool:
    """Whether labels must be settled: only in a split by time may a label hold more than was known then."""
    return problem.split.by == "time" and any(task.needs_known_until for task in problem.tasks)


def settle(problem: Problem, batch: pa.RecordBatch, until: KnownUntil) -> pa.RecordBatch:
    """The batch with the labels as they were known at the end of each row's split.

    The last split has no end: its labels were collected when the log was, which no row's time tells.
    """
    if not are_settled(problem):
        return batch
    limits = np.asarray([*until[:-1], _NEVER])[batch.column(columns.SPLIT).to_numpy()]
    open_ended = limits == _NEVER
    times = batch.column(columns.TIME).to_numpy()
    for task in problem.tasks:
        if task.needs_known_until:
            batch = _settle_task(problem, task, batch, times, limits, open_ended)
    return batch


def _settle_task(
    problem: Problem,
    task: TaskRecord,
    batch: pa.RecordBatch,
    times: np.ndarray,
    limits: np.ndarray,
    open_ended: np.ndarray,
) -> pa.RecordBatch:
    names = {part: columns.label(task.label_keys[part]) for part in task.label_parts}
    labels = {
        part: pc.fill_null(batch.column(name), np.float32(np.nan)).to_numpy(zero_copy_only=False)
        for part, name in names.items()
    }
    known = behavior_of(task).settle_labels(labels, times, limits, problem.keys.ticks_per_second)
    for part, name in names.items():
        values = np.where(open_ended, labels[part], known[part]).astype(np.float32)
        place = batch.schema.get_field_index(name)
        batch = batch.set_column(place, name, pa.array(values, pa.float32(), from_pandas=True))  # NaN becomes null
    return batch
