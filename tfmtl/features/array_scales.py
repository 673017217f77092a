"""Encode derived numbers that enter once, of a worker's arrays: the same bits as `fixed_scales`, in NumPy.

Logarithms are TensorFlow's, since NumPy's differ in the last bit.
"""

from functools import cache

import numpy as np
import tensorflow as tf

from tfmtl.features.fixed_scales import GRID, LEAST, odds_of_means
from tfmtl.schema.features.fixed_scales import LOG_SCALE, MOST_ODDS, NONE, ODDS_SCALE

_SMALL = 4096  # most counts are below it, and looked up


class ArrayScales:
    """Encodes numbers of the same rows. Where there is nothing, as often, nothing is computed."""

    def __init__(self) -> None:
        self._some: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def count(self, values: np.ndarray, none: np.ndarray) -> np.ndarray:
        """As `count_once`, float32 `(N,)`; the arguments are int64 and bool `(N,)`."""
        some = self._where(none, is_none=True)
        values = np.maximum(values[some], 0)
        if values.max(initial=0) < _SMALL:
            numbers = _small_logarithms()[values]
        else:
            numbers = np.asarray(tf.math.log1p(values.astype(np.float64))).astype(np.float32)
        return _placed("count", len(none), some, numbers / np.float32(LOG_SCALE))

    def share(self, part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """As `share_once`, float32 `(N,)`; the arguments are int64 `(N,)`."""
        some = self._where(whole, is_none=False)
        whole = np.maximum(whole[some], 1)
        shares = (np.minimum(part[some], whole) / whole).astype(np.float32)
        return _placed("share", len(part), some, shares)

    def odds(self, rates: np.ndarray, none: np.ndarray, mean: float) -> np.ndarray:
        """As `odds_once`, float32 `(N,)`; the arrays are float64 and bool `(N,)`."""
        rates = np.clip(rates, LEAST, 1.0 - LEAST)
        # Of all rows: a logarithm's last bit depends on its place among them; the grid hides it.
        odds = np.asarray(tf.math.log(rates)) - np.asarray(tf.math.log1p(-rates)) - odds_of_means(np.array(mean))
        odds = np.rint(odds * GRID) / GRID + 0.0  # -0 becomes 0, so that a row has the same bytes in every batch
        numbers: np.ndarray = (np.clip(odds, -MOST_ODDS, MOST_ODDS) / ODDS_SCALE).astype(np.float32)
        numbers[none] = NONE["odds"]
        return numbers

    def _where(self, array: np.ndarray, is_none: bool) -> np.ndarray:
        """The rows where there is something, found once for all numbers that share the array."""
        if id(array) not in self._some:  # with the array, so that no other one has its place in memory
            self._some[id(array)] = array, np.flatnonzero(~array if is_none else array)
        return self._some[id(array)][1]


def _placed(scale: str, rows: int, some: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    found = np.full(rows, NONE[scale], np.float32)
    found[some] = numbers
    return found


@cache
def _small_logarithms() -> np.ndarray:
    return np.asarray(tf.math.log1p(np.arange(_SMALL, dtype=np.float64))).astype(np.float32)
