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
