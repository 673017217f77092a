"""Resample rows, whole groups at a time, for intervals of any metric."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_LEAST_DEFINED = 0.5


class Interval(NamedTuple):
    """The ends of a 95 % interval.

    Attributes:
        low: float.
        high: float.
    """

    low: float
    high: float


def group_numbers(groups: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers that are equal where the groups are; a row without a group (`b""`) has one of its own.

    Shapes: N rows.

    Args:
        groups: `(N,)` of bytes or text.
    """
    names, numbers = np.unique(groups, return_inverse=True)
    nameless = np.flatnonzero([not group for group in groups.tolist()])
    numbers = numbers.astype(np.int64)
    numbers[nameless] = len(names) + np.arange(len(nameless))
    return numbers


def resampled_rows(
    rows: int, groups: NDArray[np.int64] | None, resamples: int, seed: int
) -> Iterator[NDArray[np.intp]]:
    """Rows drawn with replacement, as many times as asked.

    Rows of a user resemble each other: with groups, whole groups are drawn, else an interval would be too narrow.

    Shapes: N rows.

    Args:
        rows: int. N.
        groups: `(N,)`, or None: every row is drawn by itself.
        resamples: int.
        seed: int.

    Reference:
        Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 6 and 8.5 (groups).
    """
    generator = np.random.default_rng(seed)
    if groups is None:
        for _ in range(resamples):
            yield generator.integers(0, rows, rows)
        return
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    for _ in range(resamples):
        drawn = generator.integers(0, len(starts), len(starts))
        ends = np.cumsum(sizes[drawn])
        shift = np.repeat(starts[drawn] - (ends - sizes[drawn]), sizes[drawn])
        yield order[np.arange(ends[-1]) + shift]


def percentile_interval(values: Sequence[float | None]) -> Interval | None:
    """Where the middle 95 % of the resampled values lie; None if fewer than half of them are defined.

    Args:
        values: of a metric, one a resample; None or NaN where it is undefined.

    Example:

    >>> low, high = percentile_interval([float(number) for number in range(101)])
    >>> round(low, 6), round(high, 6)
    (2.5, 97.5)
    """
    defined = [value for value in values if value is not None and not math.isnan(value)]
    if not values or len(defined) < _LEAST_DEFINED * len(values) or len(defined) < 2:
        return None
    low, high = np.quantile(defined, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return Interval(float(low), float(high))
