"""The interface by which a kind of task reads its label columns from a raw log."""

from typing import Protocol

import pyarrow as pa


class LabelColumns(Protocol):
    """The columns of a batch of raw rows. A value is read independently of all other values."""

    def text(self, name: str) -> pa.Array:
        """The column as strings, null where missing."""

    def number(self, name: str) -> pa.Array:
        """The column as float64, null where missing; rows that hold something else are rejected."""

    def notice_texts(self, what: str, name: str) -> None:
        """Counts the most frequent texts of a column as `what`, to show them in an error about its labels."""

    def reject(self, where: pa.Array, reason: str, values: pa.Array) -> None:
        """Sends rows to `rejected/`.

        Args:
            where: bool, the bad rows; null counts as not bad.
            reason: str. One text for all of them.
            values: the bad values, which follow the reason.
        """
