"""Means and deviations of vectors from sums that do not depend on their order.

Sums of floats do. So every number is split into an integer of 16 bits and a power of two, and the integers and their
squares are added up for each component and power: tables of a few dozen rows a component, exact in any order.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

_BITS = 16
_NAMES = ("component", "exponent", "count", "sum_mantissa", "sum_square")


def count_mantissas(vectors: np.ndarray) -> pa.Table:
    """Table `(component, exponent, count, sum_mantissa, sum_square)` of finite vectors, at 16 significant bits.

    Args:
        vectors: float32 `(n, D)`.
    """
    fractions, exponents = np.frexp(vectors.astype(np.float64))  # x = fraction * 2**exponent, 0.5 <= |fraction| < 1
    mantissas = np.rint(fractions * 2.0**_BITS).astype(np.int64)
    columns = {
        "component": np.tile(np.arange(vectors.shape[1], dtype=np.int32), len(vectors)),
        "exponent": (exponents - _BITS).astype(np.int16).reshape(-1),
        "mantissa": mantissas.reshape(-1),
        "square": (mantissas**2).reshape(-1),
    }
    sums = pa.table(columns).group_by(["component", "exponent"])
    found = sums.aggregate([([], "count_all"), ("mantissa", "sum"), ("square", "sum")])
    return found.select(["component", "exponent", "count_all", "mantissa_sum", "square_sum"]).rename_columns(_NAMES)


def moments_of(counts: pa.Table | None, size: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of every component; 0 and 1 without vectors.

    Args:
        counts: merged tables of `count_mantissas`, or `None`.
        size: int. D.
    """
    rows: list[list[tuple[int, ...]]] = [[] for _ in range(size)]
    if counts is not None:
        for component, *row in zip(*(counts[name].to_pylist() for name in _NAMES), strict=True):
            rows[component].append(tuple(row))
    found = [_moments(each) if each else (0.0, 1.0) for each in rows]
    return [mean for mean, _ in found], [deviation for _, deviation in found]


def mean_and_factor(state: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """What is taken from every component and what it is multiplied by then, 1 where all values were the same.

    Args:
        state: `mean` and `deviation`, lists of D numbers.
    """
    deviations = np.array(state["deviation"])
    return np.array(state["mean"]), 1.0 / np.where(deviations > 0.0, deviations, 1.0)


def _moments(rows: list[tuple[int, ...]]) -> tuple[float, float]:
    """In whole numbers of the smallest power, so that nothing is rounded before the end."""
    least = min(exponent for exponent, *_ in rows)
    count = sum(number for _, number, _, _ in rows)
    total = sum(mantissas << (exponent - least) for exponent, _, mantissas, _ in rows)
    squares = sum(square << (2 * (exponent - least)) for exponent, _, _, square in rows)
    variance = (count * squares - total**2) / count**2
    return math.ldexp(total / count, least), math.ldexp(math.sqrt(variance), least)
