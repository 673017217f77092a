"""Tables that are added up by key, in one process."""

from collections.abc import Callable, Iterable

import pyarrow as pa

from tfmtl.preprocessing.plan import Key, worth_merging


class MergedTables:
    """Holds the tables that a plan counts, and adds them up before they fill the memory.

    Args:
        merge: how the plan adds up tables of one key.
    """

    def __init__(self, merge: Callable[[Iterable[pa.Table]], pa.Table]) -> None:
        self._merge = merge
        self._held: dict[Key, list[pa.Table]] = {}

    def add(self, counted: Iterable[tuple[Key, pa.Table]]) -> None:
        """Takes the tables of one batch."""
        for key, table in counted:
            held = self._held.setdefault(key, [])
            held.append(table)
            if worth_merging(held):
                held[:] = [self._merge(held)]

    def merged(self) -> dict[Key, pa.Table]:
        """The sum by key."""
        return {key: self._merge(held) for key, held in self._held.items()}
