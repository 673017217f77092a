"""The views of examples for derived features, from windows over a bucket's rows."""

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.features.column_fingerprints import column_fingerprints
from tfmtl.features.once import Once
from tfmtl.features.request_view import EVERYTHING, RequestView, plain_number
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.folds import times_or_folds
from tfmtl.preprocessing.writing.column_values import plain_values
from tfmtl.preprocessing.writing.event_ranges import EventRanges, SequenceColumns
from tfmtl.preprocessing.writing.events import Events
from tfmtl.schema import SPLITS, Problem, RequestInput


class WindowViews:
    """Makes a `RequestView` of examples: of ranges in columns, or as a request would, with every window padded.

    A value's fingerprint is taken once, however many windows it is part of.

    Args:
        problem: `Problem`.
        table: the sorted canonical rows of a bucket.
        examples: int `(m,)`, rows that are examples.
        events: sequence -> `Events`.
        coded: columns of the table as dictionary arrays, of those that are at hand.
    """

    def __init__(
        self,
        problem: Problem,
        table: pa.Table,
        examples: np.ndarray,
        events: Mapping[str, Events],
        coded: Mapping[str, pa.Array],
    ) -> None:
        sources = {source for feature in problem.features for source in feature.sources}
        self._problem = problem
        self._examples = examples
        self._events = {name: own for name, own in events.items() if name in sources}
        self._times = table[columns.TIME].to_numpy() if problem.needs_time else None
        self._as_of = _as_of(problem, table) if any(feature.reads_labels for feature in problem.features) else None
        single = {
            feature.name: given
            for feature in problem.features
            if feature.name in sources
            for given in feature.inputs()
            if not given.inner
        }
        self._own = {
            name: column_fingerprints(given, coded.get(given.key) or table[given.key].combine_chunks())
            for name, given in single.items()
        }
        self._prints: dict[str, dict[str, np.ndarray]] = {}
        self._numbers: dict[str, dict[str, np.ndarray]] = {}
        for sequence in problem.sequences:
            if sequence.name in self._events:
                own = self._events[sequence.name]
                read = {name: single[name] for name in sequence.columns if name in single}
                self._prints[sequence.name] = {
                    name: self._own[name] if own.table is table else column_fingerprints(given, own.column(given.key))
                    for name, given in read.items()
                }
                self._numbers[sequence.name] = {
                    name: _numbers(given, own.column(given.key))
                    for name, given in read.items()
                    if given.dtype == "float32"
                }

        self._columns = {
            name: SequenceColumns(
                own.windows,
                own.times,
                {column: values[own.windows.rows] for column, values in self._prints[name].items()},
                {column: values[own.windows.rows] for column, values in self._numbers[name].items()},
            )
            for name, own in self._events.items()
        }

    def longest(self, chosen: np.ndarray, sequences: Collection[str]) -> np.ndarray:
        """The longest window of each of these examples, int64 `(N,)`."""
        windows = [self._events[name].windows for name in sequences]
        lengths = [own.stops[chosen] - own.starts[chosen] for own in windows]
        return np.asarray(np.max([np.zeros(len(chosen), np.int64), *lengths], axis=0))

    def ranges(self, chosen: np.ndarray, as_served: bool = False) -> RequestView:
        """The view of examples without windows; the arguments are those of `of`. Its columns are arrays."""
        rows = self._examples[chosen]
        now = None if self._times is None else self._times[rows]
        ticks, once = self._problem.keys.ticks_per_second, Once()
        return RequestView(
            now=now,
            own={name: values[rows] for name, values in self._own.items()},
            as_of=None if as_served or self._as_of is None else self._as_of[rows],
            facts={name: EventRanges(own, chosen, now, ticks, once) for name, own in self._columns.items()},
            once=once,
        )

    def of(self, chosen: np.ndarray, sequences: Collection[str], as_served: bool = False) -> RequestView:
        """The view of examples.

        Args:
            chosen: int `(N,)`, their positions among all.
            sequences: the sequences that are read.
            as_served: bool. Whether examples of the training split may know of all its labels, too, as a request does.
                Defaults to `False`.
        """
        rows = self._examples[chosen]
        times, present, prints, numbers = {}, {}, {}, {}
        for name in sequences:
            own = self._events[name]
            starts, stops = own.windows.starts[chosen], own.windows.stops[chosen]
            places = np.arange((stops - starts).max(initial=0))
            is_event = places < (stops - starts)[:, np.newaxis]
            seen = (starts[:, np.newaxis] + places)[is_event]  # among the events
            read = own.windows.rows[seen]  # among their table's rows
            present[name] = tf.constant(is_event)
            if own.times is not None:
                times[name] = tf.constant(_placed(own.times[seen], is_event, 0), tf.int64)
            prints[name] = {
                column: tf.constant(_placed(values[read], is_event, 0), tf.int64)
                for column, values in self._prints[name].items()
            }
            numbers[name] = {
                column: tf.constant(_placed(values[read], is_event, np.nan), tf.float64)
                for column, values in self._numbers[name].items()
            }
        now = None if self._times is None else tf.constant(self._times[rows], tf.int64)
        of_request = {name: tf.constant(values[rows], tf.int64) for name, values in self._own.items()}
        as_of = None if as_served or self._as_of is None else tf.constant(self._as_of[rows], tf.int64)
        return RequestView(now, times, present, prints, of_request, numbers, as_of)


def _as_of(problem: Problem, table: pa.Table) -> np.ndarray:
    """What each row may know of the labels of the training split; see `RequestView.as_of`."""
    is_training = table[columns.SPLIT].to_numpy() == SPLITS.index("train")
    return np.where(is_training, times_or_folds(problem, table), EVERYTHING)


def _placed(values: np.ndarray, where: np.ndarray, missing: float) -> np.ndarray:
    """The values in their places, row by row."""
    placed = np.full(where.shape, missing, values.dtype)
    placed[where] = values
    return placed


def _numbers(given: RequestInput, column: pa.Array) -> np.ndarray:
    numbers = plain_number(tf.constant(plain_values(given, column), tf.float32))
    return np.asarray(numbers.numpy().astype(np.float64))
