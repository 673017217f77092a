"""The bad rows of a batch, with the first reason found for each."""

from typing import Any

import numpy as np
import pyarrow as pa


class Rejections:
    """Collects reasons row by row; a row keeps its first one.

    Args:
        num_rows: int. Rows of the batch.
    """

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows
        self._reasons: dict[int, str] = {}

    def add(self, where: Any, reason: str, values: pa.Array | None = None) -> None:
        """Rejects the rows where the boolean array `where` is true; `values` are quoted in the reason."""
        rows = np.flatnonzero(np.asarray(where))
        for row in rows.tolist():
            quoted = f": {values[row].as_py()!r}" if values is not None else ""
            self._reasons.setdefault(row, reason + quoted)

    def of_items(self, rows: np.ndarray[Any, Any], column: str, list_column: str) -> "Rejections":
        """Rejections of items, which reject the rows that they belong to.

        Args:
            rows: int `(items,)`, the row of each.
            column: str. What the items' column is called where they are read.
            list_column: str. What the log calls the column with the lists.
        """
        return _OfItems(self, rows, column, list_column)

    @property
    def kept(self) -> np.ndarray[Any, Any]:
        """Boolean `(num_rows,)`: the rows without a reason."""
        kept = np.ones(self.num_rows, bool)
        kept[list(self._reasons)] = False
        return kept

    @property
    def reasons(self) -> list[tuple[int, str]]:
        """`(row in the batch, reason)`, by row."""
        return sorted(self._reasons.items())


class _OfItems(Rejections):
    def __init__(self, whole: Rejections, rows: np.ndarray[Any, Any], column: str, list_column: str) -> None:
        super().__init__(len(rows))
        self._whole = whole
        self._rows = rows
        self._column, self._list_column = f"column '{column}'", f"an item of column '{list_column}'"

    def add(self, where: Any, reason: str, values: pa.Array | None = None) -> None:
        """Rejects the rows of the items where `where` is true, each for its first one."""
        items = np.flatnonzero(np.asarray(where))
        rows, first = np.unique(self._rows[items], return_index=True)
        is_bad = np.zeros(self._whole.num_rows, bool)
        is_bad[rows] = True
        quoted = None
        if values is not None:
            places = np.zeros(self._whole.num_rows, np.int64)
            places[rows] = items[first]
            quoted = values.take(pa.array(places)) if len(rows) else None
        self._whole.add(is_bad, reason.replace(self._column, self._list_column), quoted)
