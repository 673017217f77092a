"""What a kind of task sees of a raw log when it reads its labels."""

from typing import Protocol

import pyarrow as pa


class LabelColumns(Protocol):
    """The columns of a batch of raw rows. What becomes of a value depends on nothing but the value."""

    def text(self, name: str) -> pa.Array:
        """The column as strings, null where missing."""

    def number(self, name: str) -> pa.Array:
        """The column as float64, null where missing; rows that hold something else are rejected."""

    def notice_texts(self, what: str, name: str) -> None:
        """Counts the most frequent texts of a column as `what`, to be shown where a label is hardly meant so."""

    def reject(self, where: pa.Array, reason: str, values: pa.Array) -> None:
        """Sends rows to `rejected/`.

        Args:
            where: bool, the rows at fault; null is no fault.
            reason: str. One text for all of them.
            values: the values at fault, which the reason is followed by.
        """
