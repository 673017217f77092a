"""The view of requests for derived features: time, sequences and own values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import tensorflow as tf

from tfmtl.features.event_facts import LARGEST, EventFacts, PaddedEvents
from tfmtl.features.once import Once

EVERYTHING = 2**62
"""In `RequestView.as_of`: later than any time, and no fold."""

FOLDS = 5
"""Into which the training rows of a log without times are divided for features made of labels."""

_SMALLEST_NORMAL = 2.0**-126


@dataclass(frozen=True)
class RequestView:
    """The parts of requests as integers, the same in preprocessing and in the serving graph.

    They are tensors; in a worker that pads no windows `now`, `own` and `as_of` are arrays. Texts and numbers are
    compared by `fingerprint`. Histories are `(b, n)`, oldest event first, filled up behind. b is 1 where one user
    stands for many candidates: arithmetic broadcasts.

    Args:
        now: int64 `(b,)`, when the requests are made, in the log's unit; `None` where no feature asks.
        times: sequence -> int64 `(b, n)`, when its events were.
        present: sequence -> bool `(b, n)`, where there is an event. A time may be 0, so this is apart.
        columns: sequence -> column -> fingerprints of the events' values, int64 `(b, n)`, 0 where missing.
        own: feature -> fingerprints of the requests' own values, int64 `(N,)`, 0 where missing.
        numbers: sequence -> column -> the events' numbers, float64 `(b, n)`, NaN where missing.
        as_of: int64 `(N,)`, what features made of labels may know: of an example of the training split its time, or its
            fold (`FOLDS`) in a log without times; of others `EVERYTHING`. Defaults to `None`: everything, as requests.
        facts: sequence -> its facts, where something else than padded tensors tells them; `times`, `present`, `columns`
            and `numbers` are empty then. Defaults to none.
        once: `Once`, what features have made of these values for each other. Defaults to a new one.
    """

    now: tf.Tensor | None
    times: Mapping[str, tf.Tensor] = field(default_factory=dict)
    present: Mapping[str, tf.Tensor] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, tf.Tensor]] = field(default_factory=dict)
    own: Mapping[str, tf.Tensor] = field(default_factory=dict)
    numbers: Mapping[str, Mapping[str, tf.Tensor]] = field(default_factory=dict)
    as_of: tf.Tensor | None = None
    facts: Mapping[str, EventFacts] = field(default_factory=dict)
    once: Once = field(default_factory=Once, compare=False, repr=False)

    def events(self, sequence: str, ticks_per_second: int) -> EventFacts:
        """Counts, ages and matches of a sequence's events.

        Args:
            sequence: its name.
            ticks_per_second: int. The unit of the log's times, `problem.keys.ticks_per_second`.

        Raises:
            ValueError: the events have times, and `now` is not given.
        """
        if sequence in self.facts:
            return self.facts[sequence]
        ages = None
        if sequence in self.times:
            if self.now is None:
                raise ValueError("RequestView: `now` must be given to features that read times.")
            ages = self.now[:, tf.newaxis] - self.times[sequence]
            ages = ages if ticks_per_second == 1 else ages // ticks_per_second
        return PaddedEvents(
            self.present[sequence], ages, self.columns.get(sequence, {}), self.numbers.get(sequence, {})
        )


def fingerprint(values: tf.Tensor) -> tf.Tensor:
    """Values as int64 of the same shape: equal for equal values, 0 for missing ones.

    Ids would not do: rare values share one, and buckets lie beside each other. Texts are hashed to 63 bits; of a number
    the bits of its float32 are taken, in which a request brings it.
    """
    if values.dtype == tf.string:
        return tf.where(values == "", tf.constant(0, tf.int64), tf.strings.to_hash_bucket_fast(values, LARGEST) + 1)
    bits = tf.cast(tf.bitcast(plain_number(values), tf.int32), tf.int64)
    return tf.where(tf.math.is_nan(values), tf.constant(0, tf.int64), bits + 2**31 + 1)


def plain_number(values: tf.Tensor) -> tf.Tensor:
    """float32 without -0 and without subnormal numbers, which some threads of TensorFlow take for 0 and others not."""
    return tf.where(tf.abs(values) < _SMALLEST_NORMAL, tf.zeros_like(values), values)
