"""Tables of labels and their sums per value, and per value and day or fold: exact sums that add up in any order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.features.plain_integers import from_text, to_text

STEPS = 2**16
"""Steps of 1 in which labels that are numbers are summed: whole numbers add up to the same in any order."""

LARGEST = 2**24
"""Of the absolute value of such a label: 8 million of one value can be summed."""

_ABOVE_ALL = np.iinfo(np.int64).max
_MOST_CELLS = 2**20  # from the first to the last one: of days 2,800 years


def steps_of(labels: np.ndarray) -> np.ndarray:
    """Labels `(N,)` in whole steps, int64."""
    return np.rint(labels.astype(np.float64) * STEPS).astype(np.int64)


def count_column(task: str) -> str:
    """The column of a table of counts that says how many labels of a task there are."""
    return f"sum_labels_of_{task}"


def sum_column(task: str) -> str:
    """The column of a table of counts that says what the labels of a task add up to."""
    return f"sum_of_{task}"


@dataclass(frozen=True, eq=False)
class RateCells:
    """Labels and their sums of every value in every cell, a day or a fold, in the order of value and cell.

    One table holds all tasks whose rates are of the same values, so that these are looked up once.

    Args:
        tasks: T names, in the order of the alphabet.
        value: int64 `(R,)`, fingerprints.
        cell: int64 `(R,)`.
        parts: int64 `(R, 2 T)`: for each task the number of labels; then for each task those that are 1, or of labels
            that are numbers the sum of `steps_of` them.
    """

    tasks: tuple[str, ...]
    value: np.ndarray
    cell: np.ndarray
    parts: np.ndarray

    @classmethod
    def of(cls, tasks: Sequence[str], table: pa.Table | None) -> "RateCells":
        """Those of a table of counts, whose rows may come in any order and repeat; `None` is one without rows."""
        tasks = tuple(sorted(tasks))
        if table is None:
            nothing = np.empty(0, np.int64)
            return cls(tasks, nothing, nothing, np.empty((0, 2 * len(tasks)), np.int64))
        names = [*map(count_column, tasks), *map(sum_column, tasks)]
        parts = np.stack([table[name].to_numpy() for name in names], axis=1)
        return _added(tasks, table["value"].to_numpy(), table["cell"].to_numpy(), parts)

    def plus(self, other: "RateCells") -> "RateCells":
        """The sums of both, which have the same tasks."""
        joined = [np.concatenate([getattr(self, name), getattr(other, name)]) for name in ("value", "cell", "parts")]
        return _added(self.tasks, *joined)

    def total(self) -> "RateCells":
        """The sums over all cells, in cell 0."""
        return RateCells(
            self.tasks, self.values, np.zeros_like(self.values), _sums_of_runs(self.parts, self.starts[:-1])
        )

    def mean(self, task: str) -> float | None:
        """The mean of all labels of a task, of numbers in steps; None without any."""
        counted, summed = self.places(task)
        labels, sums = int(self.parts[:, counted].sum()), self.parts[:, summed]
        high, low = sums >> 32, sums & 0xFFFF_FFFF  # the sum of all may not fit into 64 bits
        return ((int(high.sum()) << 32) + int(low.sum())) / labels if labels else None

    def places(self, task: str) -> tuple[int, int]:
        """Where the labels of a task and their sum are among `parts`."""
        place = self.tasks.index(task)
        return place, place + len(self.tasks)

    # === Plain JSON values ===

    def values_to_plain(self) -> dict[str, Any]:
        """The sums over all cells."""
        total = self.total()
        return {"values": to_text(total.value), "parts": total._parts_to_plain()}

    def cells_to_plain(self) -> dict[str, Any]:
        """All but the values, which `values_to_plain` has."""
        return {"rows": to_text(np.diff(self.starts)), "cells": to_text(self.cell), "parts": self._parts_to_plain()}

    def _parts_to_plain(self) -> dict[str, list[str]]:
        return {task: [to_text(self.parts[:, place]) for place in self.places(task)] for task in self.tasks}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any], cells: Mapping[str, Any] | None = None) -> "RateCells":
        """Reads what `values_to_plain` made, with `cells_to_plain` all cells and without the sums over them."""
        value, parts = from_text(values["values"]), (cells or values)["parts"]
        cell = np.zeros_like(value)
        if cells is not None:
            value, cell = np.repeat(value, from_text(cells["rows"])), from_text(cells["cells"])
        tasks = tuple(sorted(parts))
        columns = [from_text(parts[task][part]) for part in (0, 1) for task in tasks]
        return cls(tasks, value, cell, np.stack(columns, axis=1))

    @classmethod
    def from_separate(cls, states: Mapping[str, Mapping[str, Any]]) -> "RateCells":
        """Reads what an earlier version wrote: task -> a table of its own, as its four columns of int64."""
        tables = []
        for task, state in states.items():
            columns = {name: from_text(state[name]) for name in ("value", "cell", "count", "sum_label")}
            nothing = np.zeros_like(columns["value"])
            parts = {name: nothing for each in states for name in (count_column(each), sum_column(each))}
            parts |= {count_column(task): columns["count"], sum_column(task): columns["sum_label"]}
            tables.append(pa.table({"value": columns["value"], "cell": columns["cell"], **parts}))
        return cls.of(tuple(states), pa.concat_tables(tables))

    # === Lookups ===

    def find(self, values: np.ndarray, order: np.ndarray) -> "FoundValues":
        """The rows of values int64 `(N,)`, for any number of lookups of these; see `FoundValues`."""
        return FoundValues(self, values, order)

    def in_graph(self, values: tf.Tensor) -> tf.Tensor:
        """Labels and sums over all cells, int64 `(N, 2 T)` as `parts`, of values int64 `(N,)`.

        In TensorFlow, for serving graphs: tables are constants.
        """
        total = self.total()
        known = tf.constant(np.append(total.value, _ABOVE_ALL), tf.int64)
        parts = tf.constant(np.concatenate([total.parts, np.zeros_like(total.parts, shape=(1, total.parts.shape[1]))]))
        # What `searchsorted` does, without a dozen operations on shapes.
        found = tf.raw_ops.LowerBound(sorted_inputs=known[tf.newaxis], values=values[tf.newaxis], out_type=tf.int64)
        places = tf.squeeze(found, 0)
        is_known = tf.gather(known, places) == values
        return tf.gather(parts, tf.where(is_known, places, tf.constant(len(total.value), tf.int64)))

    @cached_property
    def starts(self) -> np.ndarray:
        """Where the rows of each different value begin, and the end of the last, int64 `(V + 1,)`."""
        return np.asarray(np.append(np.flatnonzero(_is_new(self.value)), len(self.value)))

    @cached_property
    def values(self) -> np.ndarray:
        """The different values, rising, int64 `(V,)`."""
        return np.asarray(self.value[self.starts[:-1]])

    @cached_property
    def running(self) -> np.ndarray:
        """What the rows before each row add up to, and all rows, int64 `(R + 1, 2 T)`.

        Beyond 64 bits it turns over, and differences are right all the same.
        """
        found = np.zeros((len(self.parts) + 1, self.parts.shape[1]), np.int64)
        np.cumsum(self.parts, axis=0, out=found[1:])
        return found

    def rows_from(self, ranks: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """The first rows of values whose cells are not below the given ones.

        Args:
            ranks: int64 `(N,)`, places among `values`.
            cells: int64 `(N,)`.
        """
        return np.asarray(np.searchsorted(self._keys, self._cells.keys(ranks, cells)))

    @cached_property
    def _cells(self) -> "_CellNumbers":
        return _CellNumbers(self.cell)

    @cached_property
    def _keys(self) -> np.ndarray:
        return self._cells.keys(np.repeat(np.arange(len(self.values)), np.diff(self.starts)), self.cell)


class FoundValues:
    """Where the values of some rows are in a table, and what the table says of them before and beside a cell.

    Args:
        table: `RateCells`.
        values: int64 `(N,)`.
        order: int `(N,)`, in which they rise: a search that begins where the last one ended finds its path in the
            processor's cache.
    """

    def __init__(self, table: RateCells, values: np.ndarray, order: np.ndarray) -> None:
        self._table = table
        self._shape = len(values), table.parts.shape[1]
        wanted = values[order]
        ranks = np.searchsorted(table.values, wanted)
        is_known = np.append(table.values, _ABOVE_ALL)[ranks] == wanted
        self._rows, self._ranks = order[is_known], ranks[is_known]

    def whole(self) -> np.ndarray:
        """Labels and their sums in all cells, int64 `(N, 2 T)`; as all answers, of an unknown value 0."""
        starts = self._table.starts
        return self._between(starts[self._ranks], starts[self._ranks + 1])

    def before(self, cells: np.ndarray) -> np.ndarray:
        """Those in the cells below the given ones, int64 `(N,)`."""
        return self._between(self._table.starts[self._ranks], self._from(cells))

    def all_but(self, cells: np.ndarray) -> np.ndarray:
        """Those in all cells but the given ones, int64 `(N,)`."""
        own = self._between(self._from(cells), self._from(cells + 1))
        return np.asarray(self.whole() - own)

    def _from(self, cells: np.ndarray) -> np.ndarray:
        return self._table.rows_from(self._ranks, cells[self._rows])

    def _between(self, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
        found = np.zeros(self._shape, np.int64)
        running = self._table.running
        found[self._rows] = running.take(stops, axis=0) - running.take(starts, axis=0)
        return found


class _CellNumbers:
    """Numbers of cells that rise as they do, from 0 on and not many, so that one integer holds a value's and a cell's.

    Args:
        cell: int64 `(R,)`, all there are.
    """

    def __init__(self, cell: np.ndarray) -> None:
        self._first, last = (int(cell.min()), int(cell.max())) if len(cell) else (0, 0)
        # Times in a wrong unit may be further apart than there are numbers.
        self._known = np.unique(cell) if last - self._first >= _MOST_CELLS else None
        self._beyond = last - self._first + 1 if self._known is None else len(self._known)

    def keys(self, ranks: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Integers in the order of rank and cell, int64 `(N,)`; of both int64 `(N,)`."""
        if self._known is None:
            numbers = np.clip(cells, self._first, self._first + self._beyond) - self._first
        else:
            numbers = np.searchsorted(self._known, cells)
        return np.asarray(ranks * (self._beyond + 1) + numbers)


def _added(tasks: Sequence[str], value: np.ndarray, cell: np.ndarray, parts: np.ndarray) -> RateCells:
    """Rows in order, those of one value and cell added up."""
    # Two sorts of numbers that fit into 64 bits: a third of what a sort by two columns takes.
    order = np.argsort(value)
    ranks = np.cumsum(_is_new(value[order]))
    keys = _CellNumbers(cell).keys(ranks, cell[order])
    by_key = np.argsort(keys)
    order, starts = order[by_key], np.flatnonzero(_is_new(keys[by_key]))
    return RateCells(tuple(tasks), value[order[starts]], cell[order[starts]], _sums_of_runs(parts[order], starts))


def _is_new(values: np.ndarray) -> np.ndarray:
    """Where a sorted array has another value than before."""
    return np.asarray(np.concatenate([[True], values[1:] != values[:-1]])[: len(values)])


def _sums_of_runs(parts: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The sums of the rows from each of these to the next, `(S, C)`."""
    return parts if len(starts) == len(parts) else np.asarray(np.add.reduceat(parts, starts))
