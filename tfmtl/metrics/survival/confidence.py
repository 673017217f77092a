"""How far an index could be off by chance, and whether two models differ."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tfmtl.metrics.survival.row_sums import RowSums
from tfmtl.schema.checks import check_positive_int

_MOST_RESAMPLED = 20_000
_LEVEL = 0.95


@dataclass(frozen=True)
class IndexInterval:
    """A number with its interval of confidence.

    Args:
        value: float. Of all rows.
        low: float. Lower end of the 95 % interval.
        high: float. Upper end.
        standard_error: float.
        p_value: float. Two-sided, of the value being 0: of use for a difference.
    """

    value: float
    low: float
    high: float
    standard_error: float
    p_value: float


def index_interval(
    index: Callable[[NDArray[np.intp]], RowSums],
    num_rows: int,
    *,
    resamples: int = 200,
    seed: int = 0,
    most_resampled: int = _MOST_RESAMPLED,
) -> IndexInterval:
    """Returns an index with its 95 % interval.

    Up to 20,000 rows by drawing rows with replacement (percentiles), above by the jackknife (normal, exact for an index
    made of sums, at the price of one evaluation).

    Args:
        index: callable. Takes row numbers, with repetition, and returns the index of these rows.
        num_rows: int. How many rows there are, one or more.
        resamples: int. Draws. Defaults to `200`.
        seed: int. Of the draws. Defaults to `0`.
        most_resampled: int. Up to so many rows are drawn; 0 for the jackknife always. Defaults to `20_000`.

    Returns:
        An `IndexInterval`.

    Raises:
        ValueError: `num_rows` or `resamples` is not positive.

    Example:

    >>> values = np.arange(10.0)
    >>> interval = index_interval(lambda rows: RowSums(values[rows], np.ones(len(rows))), 10)
    >>> interval.value, interval.low < 4.5 < interval.high
    (4.5, True)

    Reference:
        Efron and Tibshirani 1993, "An introduction to the bootstrap", chapters 11 and 13.
    """
    return _interval([index], num_rows, resamples, seed, most_resampled)


def index_difference(
    one: Callable[[NDArray[np.intp]], RowSums],
    other: Callable[[NDArray[np.intp]], RowSums],
    num_rows: int,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> IndexInterval:
    """Returns `one - other` with its 95 % interval and the paired test that it is 0.

    Both are computed of the same drawn rows, so that what makes rows easy or hard for both cancels.

    Args:
        one: callable. The index of the first model; see `index_interval`.
        other: callable. The index of the second model on the same rows.
        num_rows: int. How many rows there are, one or more.
        resamples: int. Draws. Defaults to `200`.
        seed: int. Of the draws. Defaults to `0`.

    Raises:
        ValueError: `num_rows` or `resamples` is not positive.

    Example:

    >>> values = np.arange(10.0)
    >>> mean = lambda rows: RowSums(values[rows], np.ones(len(rows)))
    >>> index_difference(mean, mean, 10).p_value
    1.0
    """
    return _interval([one, other], num_rows, resamples, seed, _MOST_RESAMPLED)


def _interval(
    indices: list[Callable[[NDArray[np.intp]], RowSums]], num_rows: int, resamples: int, seed: int, most_resampled: int
) -> IndexInterval:
    owner = "index_interval"
    check_positive_int(owner, "num_rows", num_rows, "There is nothing to resample without rows.")
    check_positive_int(owner, "resamples", resamples)
    everything = np.arange(num_rows)
    sums = [index(everything) for index in indices]
    value = _difference([part.value for part in sums])
    tail = (1 - _LEVEL) / 2
    if num_rows > most_resampled:
        left_out = sums[0].without_each() - (sums[1].without_each() if len(sums) == 2 else 0.0)
        spread = float(np.sqrt((num_rows - 1) / num_rows * np.sum((left_out - left_out.mean()) ** 2)))
        reach = NormalDist().inv_cdf(1 - tail) * spread
        return IndexInterval(value, value - reach, value + reach, spread, _two_sided(value, spread))
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        rows = generator.integers(0, num_rows, num_rows)
        drawn.append(_difference([index(rows).value for index in indices]))
    values = np.array(drawn)[~np.isnan(drawn)]  # a draw without a comparable pair tells nothing
    if not values.size:
        return IndexInterval(value, math.nan, math.nan, math.nan, math.nan)
    low, high = np.quantile(values, [tail, 1 - tail])
    spread = float(values.std(ddof=1)) if values.size > 1 else math.nan
    return IndexInterval(value, float(low), float(high), spread, _two_sided(value, spread))


def _difference(values: list[float]) -> float:
    return values[0] - (values[1] if len(values) == 2 else 0.0)


def _two_sided(value: float, spread: float) -> float:
    if math.isnan(value) or math.isnan(spread):
        return math.nan
    if spread == 0:
        return 1.0 if value == 0 else 0.0
    return 2 * NormalDist().cdf(-abs(value) / spread)
