"""What derived features see of examples, whose histories are windows of a bucket's rows."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.features.request_view import RequestView, fingerprint, plain_number
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.writing.column_values import plain_values
from tfmtl.preprocessing.writing.sequences import Windows
from tfmtl.schema import Problem, RequestInput


class WindowViews:
    """Makes a `RequestView` of some examples at a time: as a request would, with every window padded.

    A value's fingerprint is taken once, however many windows it is part of.

    Args:
        problem: `Problem`.
        table: the sorted canonical rows of a bucket.
        examples: int `(m,)`, rows that are examples.
        windows: sequence -> event rows of every example.
    """

    def __init__(self, problem: Problem, table: pa.Table, examples: np.ndarray, windows: Mapping[str, Windows]) -> None:
        sources = {source for feature in problem.features for source in feature.sources}
        self._examples = examples
        self._windows = {name: window for name, window in windows.items() if name in sources}
        self._times = table[columns.TIME].to_numpy() if problem.needs_time else None
        self._columns = {s.name: [name for name in s.columns if name in sources] for s in problem.sequences}
        self._prints: dict[str, np.ndarray] = {}
        self._numbers: dict[str, np.ndarray] = {}
        for feature in problem.features:
            if feature.name in sources and feature.inputs():
                [given] = feature.inputs()
                column = table[given.key].combine_chunks()
                self._prints[feature.name] = _fingerprints(given, column)
                if given.dtype == "float32":
                    numbers = plain_number(tf.constant(plain_values(given, column), tf.float32))
                    self._numbers[feature.name] = numbers.numpy().astype(np.float64)

    def of(self, chosen: np.ndarray) -> RequestView:
        """The view of examples; `chosen` are their positions among all."""
        rows = self._examples[chosen]
        times, present, prints, numbers = {}, {}, {}, {}
        for name, window in self._windows.items():
            starts, stops = window.starts[chosen], window.stops[chosen]
            places = np.arange((stops - starts).max(initial=0))
            is_event = places < (stops - starts)[:, np.newaxis]
            events = np.zeros(is_event.shape, np.int64)
            events[is_event] = window.rows[(starts[:, np.newaxis] + places)[is_event]]
            present[name] = tf.constant(is_event)
            if self._times is not None:
                times[name] = tf.constant(np.where(is_event, self._times[events], 0), tf.int64)
            prints[name] = {
                column: tf.constant(np.where(is_event, self._prints[column][events], 0), tf.int64)
                for column in self._columns[name]
            }
            numbers[name] = {
                column: tf.constant(np.where(is_event, self._numbers[column][events], np.nan), tf.float64)
                for column in self._columns[name]
                if column in self._numbers
            }
        now = None if self._times is None else tf.constant(self._times[rows], tf.int64)
        own = {name: tf.constant(values[rows], tf.int64) for name, values in self._prints.items()}
        return RequestView(now, times, present, prints, own, numbers)


def _fingerprints(given: RequestInput, column: pa.Array) -> np.ndarray:
    if given.dtype != "string":
        return np.asarray(fingerprint(tf.constant(plain_values(given, column), given.dtype)).numpy())
    coded = column.dictionary_encode()
    texts = coded.dictionary.to_numpy(zero_copy_only=False)
    found = fingerprint(tf.constant(np.append(texts, ""), tf.string)).numpy()  # the last one is for missing values
    return np.asarray(found[pc.fill_null(coded.indices, len(texts)).to_numpy()])
