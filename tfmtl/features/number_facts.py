"""Quantile boundaries and moments of a numeric column, from its counts."""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tfmtl.features.number_counts import is_rounded, rounded

_NO_COARSER = 1.1  # more examples that share a bucket than with exact boundaries
_NO_FARTHER = 2.0**-9  # deviations
_NARROW = 2.0**-16  # of the largest magnitude


@dataclass(frozen=True)
class Weighted:
    """Finite numbers in rising order, float64 `(n,)`, and how often each occurs, int64 `(n,)`."""

    values: np.ndarray
    weights: np.ndarray


class NumberFacts:
    """What follows from the counts of one column.

    Numbers rounded to 16 significant bits do where they lie apart. Where a large offset makes them fall together, such
    as dates written 20231130, the counts as they are take their place.

    Args:
        counts: merged table of `number_counts`, `None` without rows.
    """

    def __init__(self, counts: pa.Table | None) -> None:
        self._exact = _weighted(counts)
        is_exact = counts is None or is_rounded(counts)
        self._rounded = self._exact if is_exact else _weighted(rounded(counts))

    def boundaries(self, buckets: int) -> tuple[float, ...]:
        """Inner boundaries of at most `buckets` buckets; a value equal to a boundary belongs above it."""
        rough = quantiles(self._rounded, buckets)
        if len(self._exact.values) == len(self._rounded.values):
            return rough
        exact = quantiles(self._exact, buckets)
        coarser = _crowding(self._exact, rough) > _NO_COARSER * _crowding(self._exact, exact)
        return exact if coarser else rough

    def moments(self, is_log: bool = False) -> tuple[float, float]:
        """Mean and standard deviation, of `sign(x) log(1 + |x|)` where `is_log`; (0, 1) without values."""
        rough = _moments_of(self._rounded, is_log)
        if self._rounded is self._exact:
            return rough
        exact = _moments_of(self._exact, is_log)
        farther = max(abs(a - b) for a, b in zip(rough, exact, strict=True)) > _NO_FARTHER * exact[1]
        return exact if farther else rough

    def narrow(self) -> str | None:
        """What float32, in which requests carry numbers, cannot tell apart; `None` where that is nothing."""
        values = self._exact.values
        if not len(values):
            return None
        largest = float(np.abs(values[[0, -1]]).max())
        spread = float(values[-1] - values[0])
        step = 2.0 ** (math.frexp(largest)[1] - 24)
        if spread >= _NARROW * largest or (spread == 0.0 and step <= 1.0):
            return None
        return (
            f"lie within {spread:g} of each other at about {largest:.9g}, where float32, in which requests carry them, "
            f"has steps of {step:g}"
        )


def quantiles(numbers: Weighted, buckets: int) -> tuple[float, ...]:
    """Inner boundaries of at most `buckets` buckets; a value equal to a boundary belongs above it.

    Buckets are equally frequent, but for values that alone fill one: those get a bucket of their own and the others
    share what is left. Plain quantiles of a column that is 95 % zeros would put nearly all other values together.
    """
    for target in range(buckets, 1, -1):  # a frequent value may cut a bucket in two, so the first try can be too many
        boundaries = _cut(numbers.values, numbers.weights, target)
        if len(boundaries) < buckets:
            break
    return tuple(boundaries[: buckets - 1].tolist())


def moments(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation; (0, 1) without values. Summed exactly, so in any order alike."""
    if len(values) == 0:
        return 0.0, 1.0
    total = int(weights.sum())
    mean = math.fsum(values * weights) / total
    variance = math.fsum((values - mean) ** 2 * weights) / total
    return mean, math.sqrt(variance)


def _moments_of(numbers: Weighted, is_log: bool) -> tuple[float, float]:
    values = np.sign(numbers.values) * np.log1p(np.abs(numbers.values)) if is_log else numbers.values
    return moments(values, numbers.weights)


def _weighted(counts: pa.Table | None) -> Weighted:
    if counts is None:
        return Weighted(np.empty(0), np.empty(0, np.int64))
    values, weights = counts["value"].to_numpy().astype(np.float64), counts["count"].to_numpy()
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    finite = np.isfinite(values)
    return Weighted(values[finite], weights[finite])


def _crowding(numbers: Weighted, boundaries: tuple[float, ...]) -> float:
    """The chance that two values drawn at random share a bucket."""
    ids = np.searchsorted(np.asarray(boundaries), numbers.values, side="right")
    shares = np.bincount(ids, numbers.weights) / numbers.weights.sum()
    return float((shares**2).sum())


def _cut(values: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    frequent = np.zeros(len(values), bool)
    while True:
        rest = target - int(frequent.sum())
        left = weights[~frequent].sum()
        size = left / rest if left else np.inf
        more = ~frequent & (weights >= size)
        if not more.any():
            break
        frequent |= more
    ordinary = np.where(frequent, 0, weights)
    bucket = np.floor((np.cumsum(ordinary) - ordinary) / size)
    starts = (bucket[1:] != bucket[:-1]) | frequent[1:] | frequent[:-1]
    return np.asarray(values[1:][starts])
