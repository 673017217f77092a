"""Labels of survival tasks: read from the log, and censored at the time up to which they may be known."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.schema.tasks.survival import SurvivalTask
from tfmtl.tasks.label_columns import LabelColumns
from tfmtl.tasks.task_behavior import Floats

_FLOAT = pa.float32()
_NOTHING = pa.scalar(None, _FLOAT)


def read_survival_labels(task: SurvivalTask, raw: LabelColumns) -> dict[str, pa.Array]:
    """Part of the label -> float32; both time and event missing is no label, anything else that is wrong is rejected.

    Rejected: a time without an event or the other way round, a time that is negative or infinite, an event that is
    neither 0 nor 1, an entry at the time or later, an upper bound below the time, a cause that is not listed.
    """
    times, events = raw.number(task.time), raw.number(task.event)
    seen = pc.is_valid(times)
    raw.reject(pc.and_(seen, pc.is_null(events)), f"label '{task.event}' is missing beside a time", times)
    raw.reject(pc.and_(pc.invert(seen), pc.is_valid(events)), f"label '{task.time}' is missing beside an event", events)
    raw.reject(pc.less(times, 0.0), f"label '{task.time}' is negative", times)
    raw.reject(pc.is_inf(pc.cast(times, _FLOAT, safe=False)), f"label '{task.time}' is not finite in float32", times)
    binary = pc.is_in(events, pa.array([0.0, 1.0, None]))
    raw.reject(pc.invert(binary), f"label '{task.event}' is neither 0 nor 1", events)
    parts = {"": times, "event": events}
    if task.entry is not None:
        entries = raw.number(task.entry)
        late = pc.and_(pc.greater_equal(entries, times), pc.greater(entries, 0.0))
        raw.reject(late, f"label '{task.entry}' (the age when first seen) is not below the time", entries)
        parts["entry"] = entries
    if task.time_upper is not None:
        upper = raw.number(task.time_upper)
        raw.reject(pc.less(upper, times), f"label '{task.time_upper}' is below the time", upper)
        ends = pc.and_(pc.is_finite(upper), pc.greater(upper, times))
        # The event lies in the interval, so the row is no exact event, whatever the column says.
        parts["upper"] = pc.if_else(ends, upper, pa.scalar(None, pa.float64()))
        parts["event"] = pc.if_else(pc.fill_null(ends, False), 0.0, events)
    parts = {part: pc.cast(values, _FLOAT, safe=False) for part, values in parts.items()}
    if task.cause is not None:
        parts["cause"] = _causes(task, raw, events)
    return parts


def settle_survival_labels(labels: dict[str, Floats], observed: npt.NDArray[np.float64]) -> dict[str, Floats]:
    """The labels as they were known when each row had been running for `observed`: what came later is censored there.

    A row that had not been seen by then, because it entered or started later, has no label.
    """
    times = labels[""]
    open_then = times > observed
    nothing = np.float32(np.nan)
    settled = {
        **labels,
        "": np.where(open_then, np.maximum(observed, 0.0), times).astype(np.float32),
        "event": np.where(open_then, np.float32(0.0), labels["event"]),
    }
    if "upper" in labels:
        settled["upper"] = np.where(labels["upper"] > observed, nothing, labels["upper"])
    unseen = observed <= 0.0
    if "entry" in labels:
        unseen |= open_then & (labels["entry"] >= observed)
    return {part: np.where(unseen, nothing, values).astype(np.float32) for part, values in settled.items()}


def _causes(task: SurvivalTask, raw: LabelColumns, events: pa.Array) -> pa.Array:
    texts = raw.text(str(task.cause))
    numbers = pc.index_in(texts, pa.array(task.causes))
    ended = pc.fill_null(pc.equal(events, 1.0), False)
    raw.reject(pc.and_(ended, pc.is_null(numbers)), f"label '{task.cause}' is not one of the causes", texts)
    return pc.if_else(ended, pc.cast(numbers, _FLOAT), _NOTHING)
