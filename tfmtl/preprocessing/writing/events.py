"""The events of a sequence, and the window of events of every example."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.raw_transform import RawTransform
from tfmtl.preprocessing.writing.column_values import encode_column, encode_lists
from tfmtl.preprocessing.writing.sequences import Windows
from tfmtl.schema import FeatureRecord, Problem, RequestInput, SequenceFeature


@dataclass(frozen=True)
class Events:
    """Rows of a table that are events, and the window that each example has of them.

    Attributes:
        table: canonical columns, under the keys of the features' inputs.
        windows: `Windows` over the table's rows.
        times: int64 `(e,)`, of the events; `None` where they have none.
    """

    table: pa.Table
    windows: Windows
    times: np.ndarray | None = None

    def column(self, key: str) -> pa.Array:
        """A canonical column of all rows."""
        return self.table[key].combine_chunks()

    def values(self, given: RequestInput, start: int, stop: int) -> list[Any]:
        """What a request says of the events from `start` to `stop`."""
        found = self.table[given.key].take(pa.array(self.windows.rows[start:stop])).to_pylist()
        return [given.missing if value is None else value for value in found]


def row_events(problem: Problem, sequence: SequenceFeature, table: pa.Table, examples: np.ndarray) -> Events:
    """The events that stand in the examples' own lists, one after another; `sequence` is of source `"row"`."""
    inputs = [given for column in sequence.columns for given in problem.feature(column).inputs()]
    rows = pa.array(examples)
    lists = {each.key: table[sequence.column_key(each.key)].combine_chunks().take(rows) for each in inputs}
    ends = np.cumsum(pc.list_value_length(lists[inputs[0].key]).to_numpy(zero_copy_only=False), dtype=np.int64)
    starts = np.concatenate([[0], ends])[: len(examples)]
    times = None
    if sequence.has_times:
        times = pc.list_flatten(table[sequence.time_key].combine_chunks().take(rows)).to_numpy()
    own = pa.table({key: pc.list_flatten(values) for key, values in lists.items()})
    return Events(own, Windows(np.arange(own.num_rows), starts, ends), times)


def event_tensors(
    problem: Problem, transform: RawTransform, feature: FeatureRecord, events: Events, encoded: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Encoded key of a feature -> what the events have of it, `(e, *inner)`.

    Args:
        problem: `Problem`.
        transform: the fitted `RawTransform`.
        feature: one of the events' columns.
        events: `Events`.
        encoded: encoded key -> values of all rows of the events' table, as far as they are known.
    """
    rows = events.windows.rows
    [given] = feature.inputs()
    tensors = feature.tensors(problem)
    if given.is_list:
        ids, offsets = encode_lists(transform, feature.name, given, events.column(given.key), rows)
        return {each.key: _padded(ids, offsets, each.inner[0]) for each in tensors}
    if any(each.key not in encoded for each in tensors):
        encoded = encode_column(transform, feature.name, given, events.column(given.key))
    return {each.key: encoded[each.key][rows] for each in tensors}


def _padded(ids: np.ndarray, offsets: np.ndarray, width: int) -> np.ndarray:
    """Lists of at most `width` ids one after another -> `(lists, width)`, filled up with 0."""
    padded = np.zeros((len(offsets) - 1, width), ids.dtype)
    padded[np.arange(width) < np.diff(offsets)[:, np.newaxis]] = ids
    return padded
