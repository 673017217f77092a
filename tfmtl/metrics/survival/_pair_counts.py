"""Counts over all pairs of rows, without making the pairs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairCounts:
    """For each row, what the rows with a smaller key hold.

    Shapes: N rows.

    Args:
        below: float64 `(N,)`. Weight of those whose value is smaller.
        equal: float64 `(N,)`. Weight of those whose value is the same.
        total: float64 `(N,)`. Weight of all of them.
    """

    below: Floats
    equal: Floats
    total: Floats


def counts_of_smaller_keys(keys: NDArray[np.int64], values: Floats, weights: Floats) -> PairCounts:
    """Returns, for each row, the weight of the rows with a smaller key, by how their value compares.

    Exact, O(N log^2 N) time and O(N) memory. The rows before a place in the order of keys are cut into runs whose
    lengths are powers of two, as the place's binary digits say; every level's runs are sorted by value at once, and
    all rows look up their run of that level at once.

    Args:
        keys: int64 `(N,)`.
        values: `(N,)`, not NaN.
        weights: `(N,)`, at least 0.
    """
    order = np.argsort(keys, kind="stable")
    size = len(order)
    distinct, rank = np.unique(values, return_inverse=True)
    ranks = rank.reshape(-1)[order]
    sorted_keys = keys[order]
    # Of a row, how many rows have a smaller key: those of the same key do not count.
    before = np.searchsorted(sorted_keys, sorted_keys, side="left")
    ordered_weights = weights[order]
    cumulated = np.concatenate([[0.0], np.cumsum(ordered_weights)])
    below, equal = np.zeros(size), np.zeros(size)
    length = 1
    while length <= size:
        asking = np.flatnonzero(before & length)
        if asking.size:
            runs = np.arange(size) // length
            composed = runs * len(distinct) + ranks
            by_value = np.argsort(composed, kind="stable")
            values_sorted = composed[by_value]
            weight_sums = np.concatenate([[0.0], np.cumsum(ordered_weights[by_value])])
            run = (before[asking] >> length.bit_length()) * 2  # the higher digits say which run of this length
            wanted = run * len(distinct) + ranks[asking]
            first = np.searchsorted(values_sorted, wanted, side="left")
            last = np.searchsorted(values_sorted, wanted, side="right")
            below[asking] += weight_sums[first] - weight_sums[run * length]
            equal[asking] += weight_sums[last] - weight_sums[first]
        length *= 2
    result = np.empty((3, size))
    result[:, order] = below, equal, cumulated[before]
    return PairCounts(*result)
