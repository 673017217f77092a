"""The view of raw requests for derived features."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmtl.data.newest_events import NewestEvents
from tfmtl.features.request_view import RequestView, fingerprint, plain_number
from tfmtl.schema import FeatureRecord, Problem


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
    times, present, columns, numbers = {}, {}, {}, {}
    for sequence in problem.sequences:
        if sequence.name in sources:
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
    # A column that events alone are read by may be absent: retrieval is asked without an item.
    own = {each.name: raw[each.name] for each in problem.features if each.name in sources and each.name in raw}
    prints = {name: fingerprint(values) for name, values in own.items() if values.shape.rank == 1}
    now = raw[str(problem.keys.time)] if any(feature.needs_time(problem) for feature in features) else None
    return RequestView(now, times, present, columns, prints, numbers)


class _Places:
    """The newest events where they lie: as `NewestEvents`, but not moved."""

    def __init__(self, present: tf.Tensor, limit: tf.Tensor) -> None:
        newer = tf.cumsum(tf.cast(present, tf.int32), axis=1, reverse=True)  # itself included
        self.present = present & (newer <= limit)

    def read(self, values: tf.Tensor) -> tf.Tensor:
        """`(b, n)` with 0 where there is no event that counts."""
        return tf.where(self.present, values, tf.zeros((), values.dtype))
