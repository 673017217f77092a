"""What derived features see of raw requests."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmtl.features.request_view import RequestView, fingerprint
from tfmtl.schema import FeatureRecord, Problem, SequenceFeature


def raw_view(problem: Problem, raw: Mapping[str, tf.Tensor], features: Sequence[FeatureRecord]) -> RequestView:
    """The view of requests as `raw_signature` describes them, with what these features are derived from."""
    sources = {source for feature in features for source in feature.sources}
    times, present, columns = {}, {}, {}
    for sequence in problem.sequences:
        if sequence.name in sources:
            window = _Window(problem, sequence, raw)
            times[sequence.name] = window.read(raw[sequence.time_key])
            present[sequence.name] = window.present
            columns[sequence.name] = {
                column: window.read(fingerprint(raw[sequence.column_key(column)]))
                for column in sequence.columns
                if column in sources
            }
    own = {each.name: fingerprint(raw[each.name]) for each in problem.features if each.name in sources}
    return RequestView(raw[str(problem.keys.time)] if problem.needs_time else None, times, present, columns, own)


class _Window:
    """The newest events of a sequence, those without a first column left out, moved to the front."""

    def __init__(self, problem: Problem, sequence: SequenceFeature, raw: Mapping[str, tf.Tensor]) -> None:
        first = raw[sequence.column_key(sequence.columns[0])]
        self._is_event = fingerprint(first) != 0
        self._length = sequence.longest_window(problem)
        self.present = self.read(self._is_event)

    def read(self, values: tf.Tensor) -> tf.Tensor:
        """`(b, n)` of all that the requests hold -> `(b, n')` of the window, filled up with 0."""
        return tf.ragged.boolean_mask(values, self._is_event)[:, -self._length :].to_tensor()
