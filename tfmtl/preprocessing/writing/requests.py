"""Real examples as raw serving requests, kept beside their records.

They let an exported model be checked on what preprocessing really did: the
request goes through the serving graph, the record through the training graph,
and both must answer alike.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfmtl.preprocessing import columns
from tfmtl.preprocessing.writing.events import Events
from tfmtl.schema import Problem, RequestInput


def raw_requests(
    problem: Problem,
    table: pa.Table,
    examples: np.ndarray,
    events: Mapping[str, Events],
    records: Sequence[bytes],
    chosen: np.ndarray,
) -> list[dict[str, Any]]:
    """`{"features": raw values as `raw_signature` names them, "record": base64}` of the chosen examples.

    Args:
        problem: `Problem`.
        table: the sorted canonical rows of a bucket.
        examples: rows that are examples.
        events: sequence -> `Events`.
        records: the chosen examples, serialized.
        chosen: positions in `examples`.
    """
    requests = []
    for index, record in zip(chosen.tolist(), records, strict=True):
        row = int(examples[index])
        features = {each.key: _value(table, each, row) for feature in problem.features for each in feature.inputs()}
        for sequence in problem.sequences:
            own = events[sequence.name]
            start, stop = int(own.windows.starts[index]), int(own.windows.stops[index])
            for column in sequence.columns:
                [given] = problem.feature(column).inputs()
                features[sequence.column_key(column)] = own.values(given, start, stop)
            if sequence.needs_times(problem) and own.times is not None:
                features[sequence.time_key] = own.times[start:stop].tolist()
        if problem.needs_time:
            features[str(problem.keys.time)] = table[columns.TIME][row].as_py()
        requests.append({"features": features, "record": base64.b64encode(record).decode()})
    return requests


def _value(table: pa.Table, given: RequestInput, row: int) -> Any:
    value = table[given.key][row].as_py()
    if value is None:
        return given.missing
    return {"b64": base64.b64encode(value).decode()} if given.is_bytes else value
