"""Find out which items the users of a log took, and when."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfmtl.preprocessing import columns
from tfmtl.schema import SPLITS

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_NEVER = np.iinfo(np.int64).min


class TakenItems:
    """Answers whether a user took an item from a row on, as far as the split of the row that asks may know.

    A row of the training split knows the rows of this split, one of validation those of both, one of test all.

    Args:
        table: canonical rows with their split, all rows of every user in it. Without users every row is a user's own.
        items: int64 `(rows,)`. The item of each row, -1 where it is none of the index.
        num_items: int. Items of the index.

    Attributes:
        times: int64 `(rows,)`. 0 where the log has none.
    """

    def __init__(self, table: pa.Table, items: Ints, num_items: int) -> None:
        self._num_items = num_items
        rows, names = table.num_rows, table.column_names
        self._users = np.arange(rows)
        if columns.USER in names:
            self._users = table[columns.USER].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        self.times = table[columns.TIME].to_numpy() if columns.TIME in names else np.zeros(rows, np.int64)
        self._splits = table[columns.SPLIT].to_numpy().astype(np.int64)
        is_known = items >= 0
        pairs = self._users * num_items + items
        order = np.lexsort((self.times, pairs))
        self._known = [
            (pairs[kept], self.times[kept])
            for split in range(len(SPLITS))
            for kept in (order[(is_known & (self._splits <= split))[order]],)
        ]

    def since(self, rows: Ints, items: Ints) -> Flags:
        """Whether the users of `rows` `(B,)` took `items` `(B, n)` at the rows' times or later."""
        newest = np.full(items.shape, _NEVER)
        for split, (pairs, times) in enumerate(self._known):
            of_split = self._splits[rows] == split
            asked = self._users[rows[of_split], np.newaxis] * self._num_items + items[of_split]
            last = np.searchsorted(pairs, asked, side="right") - 1  # of the pair or, without one, of another
            if len(pairs):
                newest[of_split] = np.where((last >= 0) & (pairs[last] == asked), times[last], _NEVER)
        return np.asarray(newest >= self.times[rows, np.newaxis])
