"""Calibration of probabilities: do events predicted with probability p happen at rate p?"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import Floats, probability_rows
from tfmtl.schema.checks import check_one_of, check_positive_int

STRATEGIES = ("quantile", "uniform")


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability table: the examples whose probability lies in (lower, upper].

    The lowest bin also holds its lower edge.

    Attributes:
        lower: Lower edge.
        upper: Upper edge.
        count: Number of examples, at least 1.
        mean_predicted: Mean of their probabilities.
        mean_observed: Share of positives among them.
    """

    lower: float
    upper: float
    count: int
    mean_predicted: float
    mean_observed: float


def reliability_table(
    labels: ArrayLike,
    probabilities: ArrayLike,
    num_bins: int = 10,
    strategy: Literal["quantile", "uniform"] = "quantile",
) -> tuple[ReliabilityBin, ...]:
    """Returns predicted and observed rates per bin of the predicted probability, in ascending order.

    Examples of equal probability share a bin, so the order of the rows never matters. Bins without an example are
    left out, so there may be fewer than `num_bins`.

    Shapes: N rows.

    Args:
        labels: `(N,)`, 0, 1 or NaN. A row whose label is NaN (missing) is dropped.
        probabilities: `(N,)`, in [0, 1].
        num_bins: int, at least 1. Defaults to `10`.
        strategy: `"quantile"`, edges at the quantiles of the probabilities, so that rare events do not all fall into
            one bin; or `"uniform"`, equal widths. Defaults to `"quantile"`.

    Raises:
        TypeError: a column does not hold numbers, or `num_bins` is not an int.
        ValueError: a column is not `(N,)`, a label is not 0, 1 or NaN, a labeled row's probability is outside
            [0, 1], `num_bins` is less than 1, or the strategy is unknown.
    """
    return _reliability_table("reliability_table", labels, probabilities, num_bins, strategy, None)[0]


def expected_calibration_error(
    labels: ArrayLike,
    probabilities: ArrayLike,
    num_bins: int = 10,
    strategy: Literal["quantile", "uniform"] = "quantile",
    weights: ArrayLike | None = None,
) -> float:
    """Returns the mean over examples of |observed rate - mean probability| of the example's bin.

    It is at least |share of positives - mean probability|, which is its value for one bin, and at most 1. With few
    examples a bin it is biased upwards: an ideal model does not reach 0.

    Args:
        labels: As for `reliability_table`.
        probabilities: As for `reliability_table`.
        num_bins: As for `reliability_table`. Defaults to `10`.
        strategy: As for `reliability_table`. Defaults to `"quantile"`.
        weights: `(N,)` or None. How much a row counts in rates and mean; bins are cut by rows. Defaults to `None`,
            every row counts once.

    Returns:
        The error, in [0, 1]. NaN where no row has a label.

    Raises:
        TypeError: As for `reliability_table`.
        ValueError: As for `reliability_table`.

    Example:

    >>> expected_calibration_error([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75], num_bins=2)
    0.25

    Reference:
        Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning", for the binary case;
        Guo et al. 2017, https://arxiv.org/abs/1706.04599, eq. 3, for the half-open uniform bins. Quantile bins as
        in Nixon et al. 2019, https://arxiv.org/abs/1904.01685, except that ties are never split over bins here.
    """
    table, totals = _reliability_table("expected_calibration_error", labels, probabilities, num_bins, strategy, weights)
    if not table:
        return math.nan
    gaps = [abs(row.mean_observed - row.mean_predicted) for row in table]
    return float(np.average(gaps, weights=totals))


def _reliability_table(
    owner: str, labels: ArrayLike, probabilities: ArrayLike, num_bins: int, strategy: str, weights: ArrayLike | None
) -> tuple[tuple[ReliabilityBin, ...], Floats]:
    """The bins, and the weight of each."""
    check_positive_int(owner, "num_bins", num_bins, "Use 10 to 20.")
    check_one_of(owner, "strategy", strategy, STRATEGIES)
    rows = probability_rows(owner, labels, probabilities, weights)
    if rows.labels.size == 0:
        return (), np.empty(0)
    edges = _edges(rows.predictions, num_bins, strategy)
    # side="left" puts a probability equal to an edge below it, whichever rows share it.
    bins = np.searchsorted(edges[1:-1], rows.predictions, side="left")
    counted = np.ones_like(rows.labels) if rows.weights is None else rows.weights
    counts = np.bincount(bins, minlength=num_bins)
    totals: Floats = np.asarray(np.bincount(bins, weights=counted, minlength=num_bins), np.float64)
    predicted = np.bincount(bins, weights=counted * rows.predictions, minlength=num_bins)
    observed = np.bincount(bins, weights=counted * rows.labels, minlength=num_bins)
    kept = np.flatnonzero(totals)
    table = tuple(
        ReliabilityBin(
            lower=float(edges[index]),
            upper=float(edges[index + 1]),
            count=int(counts[index]),
            mean_predicted=float(predicted[index] / totals[index]),
            mean_observed=float(observed[index] / totals[index]),
        )
        for index in kept
    )
    return table, totals[kept]


def _edges(probabilities: Floats, num_bins: int, strategy: str) -> Floats:
    fractions = np.linspace(0.0, 1.0, num_bins + 1)
    return fractions if strategy == "uniform" else np.quantile(probabilities, fractions)
