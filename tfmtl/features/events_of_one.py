"""Facts of the sequences of one user with many candidates: all events end to end, so that one operation reads them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tensorflow as tf

from tfmtl.features.event_facts import LARGEST, EventFacts
from tfmtl.features.request_view import fingerprint
from tfmtl.schema.features.history import WINDOWS

_SLOT_BITS = 40  # above those of a number's fingerprint


@dataclass(frozen=True)
class OwnSequence:
    """A sequence of one user.

    Args:
        first: values of the column that says where there is an event, `(1, n)`, missing where there is none.
        limit: int. How many of the newest events count.
        times: int64 `(1, n)`.
        columns: column -> the events' values, `(1, n)`, of those that may be matched.
    """

    first: tf.Tensor
    limit: int
    times: tf.Tensor
    columns: Mapping[str, tf.Tensor]


class EventsOfOne:
    """All events of one user. A request to rank is made of many small operations: here their number does not grow.

    Shapes: J sequences, E events together, N candidates.

    Args:
        sequences: name -> `OwnSequence`.
        now: int64 `(1,)`, in the log's unit.
        ticks_per_second: int. The unit of times.
        own: feature -> the candidates' fingerprints, int64 `(N,)`, or `(1,)` for all; 0 where missing.
    """

    def __init__(
        self,
        sequences: Mapping[str, OwnSequence],
        now: tf.Tensor,
        ticks_per_second: int,
        own: Mapping[str, tf.Tensor],
    ) -> None:
        self._sequences = sequences
        self._own = own
        parts = list(sequences.values())
        self._sizes = [tf.shape(each.first)[1] for each in parts]
        is_event = _prints([each.first for each in parts]) != 0  # (E,)
        ends = tf.cumsum(tf.stack(self._sizes))
        self._total = ends[-1]
        places = tf.range(self._total)
        self._segments = tf.raw_ops.UpperBound(sorted_inputs=ends[tf.newaxis], values=places[tf.newaxis])[0]
        counted = tf.cast(is_event, tf.int32)
        counts = tf.math.unsorted_segment_sum(counted, self._segments, len(parts))  # (J,)
        limits = tf.constant([each.limit for each in parts])
        too_old = tf.cumsum(counts) - limits  # of the events so far, those before the newest ones of a sequence
        self._present = is_event & (tf.cumsum(counted) > tf.gather(too_old, self._segments))
        ages = now - _end_to_end([each.times for each in parts])
        self._ages = ages if ticks_per_second == 1 else ages // ticks_per_second
        self._counts = tf.cast(tf.minimum(counts, limits), tf.int64)

    def facts(self, alone: Callable[[str], EventFacts]) -> dict[str, EventFacts]:
        """Sequence -> its facts.

        Args:
            alone: gives the facts of one sequence by itself, which are asked for the rest, such as means of numbers.
        """
        return {name: _FactsOfOne(self, name, alone) for name in self._sequences}

    @cached_property
    def histories(self) -> dict[str, dict[str, tf.Tensor]]:
        """Sequence -> `count`, `newest`, `oldest` and the counts in `WINDOWS` by their seconds, int64 `(1,)` each."""
        number = len(self._sequences)
        of_events = tf.where(self._present, self._ages, LARGEST)
        recent = of_events[:, tf.newaxis] <= tf.constant(list(WINDOWS.values()), tf.int64)  # (E, 3)
        newest = tf.math.unsorted_segment_min(of_events, self._segments, number)
        of_present = self._ages * tf.cast(self._present, tf.int64)
        oldest = tf.math.unsorted_segment_max(of_present, self._segments, number)
        within = tf.math.unsorted_segment_sum(tf.cast(recent, tf.int64), self._segments, number)  # (J, 3)
        table = tf.concat([tf.stack([self._counts, newest, oldest], axis=1), within], axis=1)
        names = ["count", "newest", "oldest", *map(str, WINDOWS.values())]
        values = iter(tf.unstack(tf.reshape(table, (-1, 1)), num=number * len(names)))
        return {name: {each: next(values) for each in names} for name in self._sequences}

    @cached_property
    def matches(self) -> dict[tuple[str, str], tuple[tf.Tensor, tf.Tensor]]:
        """Sequence and column -> how many events each candidate matches, and the age of the newest one."""
        slots = [(name, column) for name, each in self._sequences.items() for column in each.columns]
        slots = [slot for slot in slots if slot[1] in self._own]
        tags = {slot: place << _SLOT_BITS for place, slot in enumerate(slots)}
        keys, ages, total = self._keys(slots, tags)
        ordered = tf.sort(keys[tf.newaxis])
        places = tf.raw_ops.LowerBound(sorted_inputs=ordered, values=keys[tf.newaxis])[0]  # one for equal events
        newest = tf.math.unsorted_segment_min(ages, places, total + 1)
        found: dict[tuple[str, str], tuple[tf.Tensor, tf.Tensor]] = {}
        for rows in {self._own[column].shape[0] for _, column in slots}:
            some = [slot for slot in slots if self._own[slot[1]].shape[0] == rows]
            own = tf.stack([self._own[column] for _, column in some])  # (k, N)
            tagged = tf.bitwise.bitwise_xor(own, tf.constant([[tags[slot]] for slot in some], tf.int64))
            needles = tf.reshape(tf.where(own == 0, tf.constant(-1, tf.int64), tagged), (1, -1))
            first, last = (
                search(sorted_inputs=ordered, values=needles, out_type=tf.int64)[0]
                for search in (tf.raw_ops.LowerBound, tf.raw_ops.UpperBound)
            )
            both = [tf.reshape(each, (len(some), -1)) for each in (last - first, tf.gather(newest, first))]
            apart = [tf.unstack(tf.ensure_shape(each, (len(some), rows))) for each in both]
            found |= dict(zip(some, zip(*apart, strict=True), strict=True))
        return found

    def _keys(
        self, slots: Sequence[tuple[str, str]], tags: Mapping[tuple[str, str], int]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Of the events of all slots: what matches in one slot alone, -2 of no event; their ages; how many."""
        names = list(self._sequences)
        prints = _prints([self._sequences[name].columns[column] for name, column in slots])
        if [name for name, _ in slots] == names:
            present, ages, segments, total = self._present, self._ages, self._segments, self._total
        else:  # other columns of the same events
            of_slots = [names.index(name) for name, _ in slots]
            sizes = tf.stack(self._sizes)
            present, ages = (
                tf.concat([parts[place] for place in of_slots], axis=0)
                for parts in (tf.split(each, sizes, num=len(names)) for each in (self._present, self._ages))
            )
            ends = tf.cumsum(tf.gather(sizes, of_slots))
            total = ends[-1]
            segments = tf.raw_ops.UpperBound(sorted_inputs=ends[tf.newaxis], values=tf.range(total)[tf.newaxis])[0]
        tag = tf.gather(tf.constant([tags[slot] for slot in slots], tf.int64), segments)
        return tf.where(present, tf.bitwise.bitwise_xor(prints, tag), tf.constant(-2, tf.int64)), ages, total


class _FactsOfOne(EventFacts):
    def __init__(self, events: EventsOfOne, name: str, alone: Callable[[str], EventFacts]) -> None:
        self._events = events
        self._name = name
        self._alone = alone

    def count(self) -> tf.Tensor:
        return self._events.histories[self._name]["count"]

    def newest(self) -> tf.Tensor:
        return self._events.histories[self._name]["newest"]

    def oldest(self) -> tf.Tensor:
        return self._events.histories[self._name]["oldest"]

    def within(self, seconds: Sequence[int]) -> Sequence[tf.Tensor]:
        known = self._events.histories[self._name]
        if all(str(each) in known for each in seconds):
            return [known[str(each)] for each in seconds]
        return self._alone(self._name).within(seconds)

    def matches(self, column: str, own: Any) -> tuple[tf.Tensor, tf.Tensor | None]:
        return self._events.matches[self._name, column]

    def statistics(self, column: str) -> Mapping[str, tf.Tensor]:
        return self._alone(self._name).statistics(column)


def _prints(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Fingerprints of values `(1, n)` each, texts or numbers -> `(E,)`."""
    if len({each.dtype for each in values}) == 1:
        return fingerprint(_end_to_end(values))
    return _end_to_end([fingerprint(each) for each in values])


def _end_to_end(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """`(1, n)` each -> `(E,)`."""
    return tf.concat(values, axis=1)[0]
