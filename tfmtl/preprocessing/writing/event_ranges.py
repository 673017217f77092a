"""Facts of events in ranges of sorted columns, for all examples of a bucket at once."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from tfmtl.features.event_facts import EventFacts
from tfmtl.features.once import Once, rising_order
from tfmtl.preprocessing.writing.sequences import Windows
from tfmtl.schema.features.history import STATISTICS


class EventsByValue:
    """Events sorted by their values, those of one value by their places.

    Args:
        prints: int64 `(e,)`, what is equal where values are.
    """

    def __init__(self, prints: np.ndarray) -> None:
        self.places = np.argsort(prints, kind="stable")
        self._values = prints[self.places]
        is_new = np.concatenate([[False], self._values[1:] != self._values[:-1]])[: len(prints)]
        self._value_numbers = np.cumsum(is_new)
        self._keys = self._keyed(self._value_numbers, self.places)  # rising

    def in_ranges(
        self, own: np.ndarray, order: np.ndarray, starts: np.ndarray, stops: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the events of a value that lie in a range begin and end in `places`.

        Args:
            own: int64 `(b,)`, values.
            order: int `(b,)`, in which they rise: a search that begins where the last one ended finds its path in the
                processor's cache.
            starts: int `(b,)`, of the ranges.
            stops: int `(b,)`.
        """
        first, last = np.zeros((2, len(own)), np.int64)
        some = order[(starts < stops)[order]]  # many users have no event of a rare behavior
        if len(some):
            found = np.minimum(np.searchsorted(self._values, own[some]), len(self.places) - 1)
            is_known = self._values[found] == own[some]
            some, numbers = some[is_known], self._value_numbers[found[is_known]]
            begins, ends = (self._keyed(numbers, places[some]) for places in (starts, stops))
            first[some] = np.searchsorted(self._keys, begins)
            last[some] = first[some]
            is_hit = self._keys.take(first[some], mode="clip") < ends  # few are: only of these the end is searched
            is_hit &= first[some] < len(self._keys)
            last[some[is_hit]] = np.searchsorted(self._keys, ends[is_hit])
        return first, last

    def _keyed(self, value_numbers: np.ndarray, places: np.ndarray) -> np.ndarray:
        return np.asarray(value_numbers * (len(self.places) + 1) + places)


class SequenceColumns:
    """The events of a sequence as columns, in which the window of an example is a range; windows may overlap.

    Args:
        windows: `Windows` of all examples.
        times: int64 `(e,)`, of the events; `None` where they have none.
        prints: column -> fingerprints of the events, int64 `(e,)`, 0 where missing.
        numbers: column -> float64 `(e,)`, NaN where missing.
    """

    def __init__(
        self,
        windows: Windows,
        times: np.ndarray | None,
        prints: Mapping[str, np.ndarray],
        numbers: Mapping[str, np.ndarray],
    ) -> None:
        self.starts, self.stops = windows.starts, windows.stops
        self.numbers = numbers
        order = _in_time(windows, times)
        self.times = times if times is None or order is None else times[order]
        self._prints = prints if order is None else {name: values[order] for name, values in prints.items()}
        self._by_value: dict[str, EventsByValue] = {}

    def first_not_below(
        self, starts: np.ndarray, stops: np.ndarray, bounds: Sequence[np.ndarray]
    ) -> Iterator[np.ndarray]:
        """For each of some bounds `first_not_below` of the events' times, of ranges that are not empty.

        One search in all ranges.
        """
        times = np.empty(0, np.int64) if self.times is None else self.times
        if self._keys is None:
            yield from (first_not_below(times, starts, stops, least) for least in bounds)
            return
        earliest, span, keys = self._keys
        # No event of the range's own run has a key below the run's first or above its last.
        runs = keys[starts] - (times[starts] - earliest)
        for least in bounds:
            wanted = runs + np.clip(least - earliest, 0, span - 1)
            yield np.clip(np.searchsorted(keys, wanted), starts, stops)

    @cached_property
    def _keys(self) -> tuple[int, int, np.ndarray] | None:
        """The earliest time, a span longer than that of all times, and rising numbers of the runs of rising times.

        Events at the same time in one run have one number. `None` where such numbers are beyond int64.
        """
        if self.times is None or not len(self.times):
            return None
        earliest, latest = int(self.times.min()), int(self.times.max())
        span = latest - earliest + 2
        runs = np.concatenate([[0], np.cumsum(self.times[1:] < self.times[:-1])])
        if (int(runs[-1]) + 1) * span >= 2**63:
            return None
        return earliest, span, runs * span + (self.times - earliest)

    def by_value(self, column: str) -> EventsByValue:
        """The events sorted by their values in a column."""
        if column not in self._by_value:
            self._by_value[column] = EventsByValue(self._prints[column])
        return self._by_value[column]


class EventRanges(EventFacts):
    """Facts of ranges of events, in NumPy: the same integers and the same bits as `PaddedEvents` computes.

    Windows in time are found by bisection, matches by bisection in the events sorted by value. So the cost is that of
    the events and the examples, not that of their windows together.

    Args:
        columns: `SequenceColumns`.
        chosen: int `(b,)`, positions of examples.
        now: int64 `(b,)`, their times; `None` where they have none.
        ticks_per_second: int. The unit of times.
        once: `Once` of the examples' view, in which all sequences look up the same values. Defaults to one of its own.
    """

    def __init__(
        self,
        columns: SequenceColumns,
        chosen: np.ndarray,
        now: np.ndarray | None,
        ticks_per_second: int,
        once: Once | None = None,
    ) -> None:
        self._once = once or Once()
        self._columns = columns
        self._starts, self._stops = columns.starts[chosen], columns.stops[chosen]
        self._now = np.zeros(len(chosen), np.int64) if now is None else now
        self._ticks = ticks_per_second

    def count(self) -> np.ndarray:
        return np.asarray(self._stops - self._starts)

    def newest(self) -> np.ndarray:
        return self._age(self._stops - 1)

    def oldest(self) -> np.ndarray:
        return self._age(self._starts)

    def _age(self, events: np.ndarray) -> np.ndarray:
        """Whole seconds since each of these events; of a place that is none since any."""
        times = self._columns.times
        if times is None or not len(times):
            return np.zeros(len(events), np.int64)
        return np.asarray((self._now - times.take(events, mode="clip")) // self._ticks)

    def within(self, seconds: Sequence[int]) -> list[np.ndarray]:
        # Whole seconds are at most so many: up to a tick less than one second more has passed.
        some = np.flatnonzero(self._starts < self._stops)
        starts, stops, now = self._starts[some], self._stops[some], self._now[some]
        after = [now - (each + 1) * self._ticks + 1 for each in seconds]
        found = []
        for first in self._columns.first_not_below(starts, stops, after):
            counts = np.zeros(len(self._starts), np.int64)
            counts[some] = stops - first
            found.append(counts)
        return found

    def matches(self, column: str, own: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        own = np.asarray(own)  # not a tensor, whose comparisons may be part of a graph
        events = self._columns.by_value(column)
        stops = np.where(own == 0, self._starts, self._stops)  # a missing value is like no other
        first, last = events.in_ranges(own, rising_order(self._once, own), self._starts, stops)
        if self._columns.times is None:
            return last - first, None
        return last - first, self._age(events.places.take(last - 1, mode="clip") if len(events.places) else last)

    def statistics(self, column: str) -> dict[str, np.ndarray]:
        numbers = self._columns.numbers[column]
        known = np.isfinite(numbers)
        parts = np.where(known, numbers, 0.0), np.where(known, numbers, np.inf), np.where(known, numbers, -np.inf)
        lengths = self._stops - self._starts
        longest_first = np.argsort(-lengths, kind="stable")
        starts, lengths = self._starts[longest_first], lengths[longest_first]
        sums, count = np.zeros(len(starts)), np.zeros(len(starts))
        least, most = np.full(len(starts), np.inf), np.full(len(starts), -np.inf)
        # The first events of all windows, then the second ones: one after the other, as `PaddedEvents` adds them up.
        for place in range(int(lengths.max(initial=0))):
            some = int(np.searchsorted(-lengths, -place))  # the windows that are longer
            events = starts[:some] + place
            sums[:some] += parts[0][events]
            count[:some] += known[events]
            np.minimum(least[:some], parts[1][events], out=least[:some])
            np.maximum(most[:some], parts[2][events], out=most[:some])
        mean = np.divide(sums, count, out=np.zeros_like(sums), where=count > 0.0)
        back = np.argsort(longest_first, kind="stable")
        found = zip(STATISTICS, (mean, sums, least, most), strict=True)
        return {name: np.where(count > 0.0, each, np.nan)[back] for name, each in found}


def first_not_below(values: np.ndarray, starts: np.ndarray, stops: np.ndarray, least: np.ndarray) -> np.ndarray:
    """The first place in each range whose value is not below a bound, or the range's end.

    Args:
        values: `(e,)`, rising within every range.
        starts: int `(b,)`, of the ranges.
        stops: int `(b,)`.
        least: `(b,)`, the bounds.

    Returns:
        int `(b,)`.
    """
    low, high = starts.copy(), stops.copy()
    searched = np.flatnonzero(low < high)  # most windows are short: few are searched for long
    while len(searched):
        middle = (low[searched] + high[searched]) >> 1
        is_below = values[middle] < least[searched]
        low[searched[is_below]] = middle[is_below] + 1
        high[searched[~is_below]] = middle[~is_below]
        searched = searched[low[searched] < high[searched]]
    return low


def _in_time(windows: Windows, times: np.ndarray | None) -> np.ndarray | None:
    """The order in which the events of every window rise in time; `None` where they do.

    Rows of a log are sorted by time. A row's own lists need not be, but no event is part of two of them.
    """
    if times is None or not len(times):
        return None
    falls = np.concatenate([[0], np.cumsum(times[1:] < times[:-1])])
    lengths = windows.stops - windows.starts
    some = lengths > 0
    if (falls[windows.starts[some]] == falls[windows.stops[some] - 1]).all():
        return None
    return np.lexsort((times, np.repeat(np.arange(len(lengths)), lengths)))
