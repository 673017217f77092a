"""The view of raw requests for derived features."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import tensorflow as tf

from tfmtl.data.newest_events import NewestEvents
from tfmtl.features.events_of_one import EventsOfOne, OwnSequence
from tfmtl.features.request_view import RequestView, fingerprint, plain_number
from tfmtl.schema import FeatureRecord, Problem, SequenceFeature


def raw_view(
    problem: Problem, raw: Mapping[str, tf.Tensor], features: Sequence[FeatureRecord], needs_windows: bool = True
) -> RequestView:
    """The view of requests as `raw_signature` describes them, with what these features are derived from.

    Args:
        problem: `Problem`.
        raw: the requests.
        features: what is derived.
        needs_windows: bool. Whether events have to be moved to the front, for features that read more of them than
            `RequestView.events` tells. Defaults to `True`.
    """
    sources = {source for feature in features for source in feature.sources}
    read = [sequence for sequence in problem.sequences if sequence.name in sources]
    # A column that events alone are read by may be absent: retrieval is asked without an item.
    own = {each.name: raw[each.name] for each in problem.features if each.name in sources and each.name in raw}
    prints = {name: fingerprint(values) for name, values in own.items() if values.shape.rank == 1}
    now = raw[str(problem.keys.time)] if any(feature.needs_time(problem) for feature in features) else None

    def padded(some: Sequence[SequenceFeature]) -> RequestView:
        return _padded(problem, raw, some, sources, needs_windows, RequestView(now, own=prints))

    if needs_windows or now is None:
        return padded(read)
    of_one = {
        each.name: OwnSequence(
            raw[each.column_key(each.columns[0])],
            each.longest_window(problem),
            raw[each.time_key],
            {name: raw[each.column_key(name)] for name in each.columns if name in prints},
        )
        for each in read
        if each.has_times and raw[each.time_key].shape[0] == 1
    }
    view = padded([each for each in read if each.name not in of_one])
    if not of_one:
        return view
    ticks = problem.keys.ticks_per_second
    events = EventsOfOne(of_one, now, ticks, prints)
    by_name = {each.name: each for each in read}
    return replace(view, facts=events.facts(lambda name: padded([by_name[name]]).events(name, ticks)))


def _padded(
    problem: Problem,
    raw: Mapping[str, tf.Tensor],
    sequences: Sequence[SequenceFeature],
    sources: Container[str],
    needs_windows: bool,
    view: RequestView,
) -> RequestView:
    """The view with the events of these sequences."""
    times, present, columns, numbers = {}, {}, {}, {}
    for sequence in sequences:
        is_event = fingerprint(raw[sequence.column_key(sequence.columns[0])]) != 0
        limit = tf.minimum(sequence.longest_window(problem), tf.shape(is_event)[1])
        window = NewestEvents(is_event, limit) if needs_windows else _Places(is_event, limit)
        if sequence.has_times:
            times[sequence.name] = window.read(raw[sequence.time_key])
        present[sequence.name] = window.present
        of_events = {name: raw[sequence.column_key(name)] for name in sequence.columns if name in sources}
        of_events = {name: values for name, values in of_events.items() if values.shape.rank == 2}
        columns[sequence.name] = {name: window.read(fingerprint(values)) for name, values in of_events.items()}
        numbers[sequence.name] = {
            name: window.read(tf.cast(plain_number(values), tf.float64))
            for name, values in of_events.items()
            if values.dtype == tf.float32
        }
    return replace(view, times=times, present=present, columns=columns, numbers=numbers)


class _Places:
    """The newest events where they lie: as `NewestEvents`, but not moved."""

    def __init__(self, present: tf.Tensor, limit: tf.Tensor) -> None:
        newer = tf.cumsum(tf.cast(present, tf.int32), axis=1, reverse=True)  # itself included
        self.present = present & (newer <= limit)

    def read(self, values: tf.Tensor) -> tf.Tensor:
        """`(b, n)` with 0 where there is no event that counts."""
        return tf.where(self.present, values, tf.zeros((), values.dtype))
