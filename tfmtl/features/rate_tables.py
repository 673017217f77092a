"""Tables of labels and their sums per value, and per value and day or fold: exact sums that add up in any order."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

STEPS = 2**16
"""Steps of 1 in which labels that are numbers are summed: whole numbers add up to the same in any order."""

LARGEST = 2**24
"""Of the absolute value of such a label: 8 million of one value can be summed."""

_COLUMNS = ("value", "cell", "count", "sum_label")


def steps_of(labels: np.ndarray) -> np.ndarray:
    """Labels `(N,)` in whole steps, int64."""
    return np.rint(labels.astype(np.float64) * STEPS).astype(np.int64)


@dataclass(frozen=True)
class RateCells:
    """Labels and their sums of every value in every cell, a day or a fold, in the order of value and cell.

    Args:
        value: int64 `(R,)`, fingerprints.
        cell: int64 `(R,)`.
        count: int64 `(R,)`, labels.
        sum_label: int64 `(R,)`, labels that are 1; of labels that are numbers, `steps_of` them.
    """

    value: np.ndarray
    cell: np.ndarray
    count: np.ndarray
    sum_label: np.ndarray

    @classmethod
    def of(cls, table: pa.Table | None) -> "RateCells":
        """Those of a merged table with these columns; `None` is one without rows."""
        if table is None:
            return cls(*(np.empty(0, np.int64) for _ in _COLUMNS))
        ordered = table.sort_by([("value", "ascending"), ("cell", "ascending")])
        return cls(*(ordered[name].to_numpy() for name in _COLUMNS))

    @classmethod
    def from_plain(cls, state: Mapping[str, Any]) -> "RateCells":
        """Reads what `to_plain` made."""
        return cls(*(np.frombuffer(base64.b64decode(state[name]), "<i8") for name in _COLUMNS))

    def to_plain(self) -> dict[str, Any]:
        """Plain JSON values: base64 of little-endian int64."""
        return {name: base64.b64encode(getattr(self, name).astype("<i8").tobytes()).decode() for name in _COLUMNS}

    def plus(self, other: "RateCells") -> "RateCells":
        """The sums of both."""
        joined = [np.concatenate([getattr(self, name), getattr(other, name)]) for name in _COLUMNS]
        added = pa.table(dict(zip(_COLUMNS, joined, strict=True))).group_by(["value", "cell"])
        summed = added.aggregate([("count", "sum"), ("sum_label", "sum")])
        return RateCells.of(summed.rename_columns(_COLUMNS))

    def total(self) -> "RateCells":
        """The sums over all cells, in cell 0."""
        return RateCells(self.value, np.zeros_like(self.cell), self.count, self.sum_label).plus(RateCells.of(None))

    @property
    def mean(self) -> float | None:
        """The mean of all labels, of numbers in steps; None without any."""
        labels = int(self.count.sum())
        high, low = self.sum_label >> 32, self.sum_label & 0xFFFF_FFFF  # the sum of all may not fit into 64 bits
        return ((int(high.sum()) << 32) + int(low.sum())) / labels if labels else None

    # === Lookups: TensorFlow, in workers and in the graph alike ===

    def before(self, values: tf.Tensor, cells: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sums and counts of the labels of the values in all cells below `cells`, int64 `(N,)` each.

        Args:
            values: int64 `(N,)`.
            cells: int64 `(N,)`.
        """
        rank = self._rank(values)
        start = tf.gather(tf.constant(self._starts), rank)
        stop = self._place(rank, cells)
        is_known = tf.equal(tf.gather(tf.constant(self._values), rank), values)
        return self._between(start, stop, is_known)

    def all_but(self, values: tf.Tensor, cells: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sums and counts of the labels of the values in all other cells than `cells`; likewise."""
        rank = self._rank(values)
        is_known = tf.equal(tf.gather(tf.constant(self._values), rank), values)
        starts = tf.constant(self._starts)
        sums, labels = self._between(tf.gather(starts, rank), tf.gather(starts, rank + 1), is_known)
        own_sums, own_labels = self._between(self._place(rank, cells), self._place(rank, cells + 1), is_known)
        return sums - own_sums, labels - own_labels

    def _between(self, start: tf.Tensor, stop: tf.Tensor, where: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        zero = tf.constant(0, tf.int64)
        sums = []
        for running in (self._sums, self._labels):
            running = tf.constant(running)
            sums.append(tf.where(where, tf.gather(running, stop) - tf.gather(running, start), zero))
        return sums[0], sums[1]

    def _rank(self, values: tf.Tensor) -> tf.Tensor:
        """The place of each value among the known ones, of an unknown one any place."""
        known = tf.constant(self._values)
        found = tf.searchsorted(known, values, out_type=tf.int64)
        return tf.minimum(found, len(self._values) - 1)

    def _place(self, rank: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
        """The first row of a value whose cell is not below the given one."""
        cell = tf.searchsorted(tf.constant(self._cells), cells, out_type=tf.int64)
        keys = tf.constant(self._keys)
        return tf.searchsorted(keys, rank * (len(self._cells) + 1) + cell, out_type=tf.int64)

    @cached_property
    def _cells(self) -> np.ndarray:
        return np.unique(self.cell)

    @cached_property
    def _values(self) -> np.ndarray:
        return np.unique(np.append(self.value, np.int64(0)))  # 0 stands for a missing value: never empty

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.searchsorted(self.value, np.append(self._values, np.iinfo(np.int64).max)).astype(np.int64)

    @cached_property
    def _keys(self) -> np.ndarray:
        ranks, cells = np.searchsorted(self._values, self.value), np.searchsorted(self._cells, self.cell)
        return (ranks * (len(self._cells) + 1) + cells).astype(np.int64)

    @cached_property
    def _sums(self) -> np.ndarray:  # beyond 64 bits it turns over, and differences are right all the same
        return np.append(np.int64(0), np.cumsum(self.sum_label)).astype(np.int64)

    @cached_property
    def _labels(self) -> np.ndarray:
        return np.append(np.int64(0), np.cumsum(self.count)).astype(np.int64)
