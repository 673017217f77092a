"""Counters of suspicious values, per column."""

from collections import Counter
from collections.abc import Mapping, Sequence

_PREFIX = "noticed"


class Noticed:
    """Counters that add up over a log's batches."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, what: str, column: str, count: int) -> None:
        """Counts `count` more values of `column` of which `what` holds."""
        if count:
            self._counts[f"{_PREFIX}/{what}/{column}"] += count

    @property
    def counts(self) -> dict[str, int]:
        """Counter -> value."""
        return dict(self._counts)


def noticed_columns(counts: Sequence[Mapping[str, int]], what: str) -> dict[str, int]:
    """Column -> values of which `what` holds, from the counts of all batches."""
    prefix = f"{_PREFIX}/{what}/"
    totals: Counter[str] = Counter()
    for batch in counts:
        totals.update({name: count for name, count in batch.items() if name.startswith(prefix)})
    return {name.removeprefix(prefix): count for name, count in sorted(totals.items())}
