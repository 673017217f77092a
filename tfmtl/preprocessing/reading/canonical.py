"""Raw columns to typed canonical ones; rows that cannot be read leave with a reason."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.features import behavior_of
from tfmtl.features.conditions import holds
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.reading.labels import add_labels
from tfmtl.preprocessing.reading.noticed import Noticed
from tfmtl.preprocessing.reading.raw_columns import RawColumns
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.preprocessing.reading.row_events import read_row_events
from tfmtl.schema import SPLITS, Problem


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
        if feature.columns:
            out |= behavior_of(feature, problem).read(raw)
    out[columns.IS_EXAMPLE] = holds(problem.examples_condition, raw, batch.num_rows)
    for sequence in problem.sequences:
        if sequence.source == "row":
            now = out.get(columns.TIME)
            out |= read_row_events(problem, sequence, raw, now, rejections, noticed or Noticed())
        else:
            out[columns.event(sequence.name)] = holds(sequence.condition, raw, batch.num_rows)
    add_labels(problem, raw, out, rejections)
    if problem.split.column is not None:
        out[columns.SPLIT] = _split_index(raw.text(problem.split.column), rejections)
    kept = pa.RecordBatch.from_arrays(list(out.values()), names=list(out)).filter(pa.array(rejections.kept))
    return kept, rejections.reasons


def _split_index(column: pa.Array, rejections: Rejections) -> pa.Array:
    index = pc.index_in(column, pa.array(SPLITS))
    rejections.add(pc.is_null(index), f"split is none of {', '.join(SPLITS)}", column)
    return pc.cast(pc.fill_null(index, 0), pa.int8())
