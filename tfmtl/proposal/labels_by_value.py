"""Tell numbers that are names from numbers that are amounts, by the labels."""

from collections.abc import Sequence

import numpy as np

from tfmtl.core.spread_knots import spread_knots
from tfmtl.proposal.column_profile import ColumnProfile

_FEWEST_ROWS = 1_000
_BINS = 16  # as the presets have
_PRIOR = 20.0  # rows that a value's mean needs to count half
_GAIN, _SIGMA = 0.001, 5.0  # at least that share of the label's variance, and that far from chance


def label_that_differs(
    column: ColumnProfile, labels: Sequence[ColumnProfile], owners: ColumnProfile | None
) -> str | None:
    """The name of the first label of which a table of a column's values says more than a curve does, if there is one.

    Neighbors among codes have nothing in common, so that a mean for each value foretells the label of other rows better
    than the piecewise linear curve that a network would draw through the values; among amounts it does not. Curve and
    means are fitted to the rows of half of the owners and compared on the other half, and the other way round: an
    amount that only one item has, such as its length in milliseconds, would name that item. Labels other than 0 and 1
    are compared by rank.

    Args:
        column: whole numbers.
        labels: numbers.
        owners: the user or the item of each row, of which the column says something; `None` where a row stands for
            itself.
    """
    return next((label.name for label in labels if _differs(column, label, owners)), None)


def _differs(column: ColumnProfile, label: ColumnProfile, owners: ColumnProfile | None) -> bool:
    if column.numbers is None or label.numbers is None:
        return False
    known = np.isfinite(column.numbers) & np.isfinite(label.numbers)
    numbers, y = column.numbers[known], _ranks(label.numbers[known])
    if len(y) < _FEWEST_ROWS or 2 * column.distinct >= len(y):
        return False
    _, values = np.unique(numbers, return_inverse=True)
    groups = np.arange(len(y)) if owners is None else np.unique(owners.codes[known], return_inverse=True)[1]
    half = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % 2 == 0
    gain = np.zeros(len(y))
    for fitted in (half, ~half):
        left = y - _curve(numbers, y, fitted)
        counts = np.bincount(values[fitted], minlength=values.max() + 1)
        table = np.bincount(values[fitted], left[fitted], minlength=len(counts)) / (counts + _PRIOR)
        gain[~fitted] = (left**2 - (left - table[values]) ** 2)[~fitted]
    chance = np.sqrt((np.bincount(groups, gain) ** 2).sum())
    return bool(gain.sum() > max(_GAIN * ((y - y.mean()) ** 2).sum(), _SIGMA * chance))


def _curve(numbers: np.ndarray, y: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """The piecewise linear curve of least squares through some of the rows, at all of them."""
    knots = spread_knots(numbers[fitted], _BINS)
    knots = knots[knots < np.finfo(np.float32).max].astype(np.float64)
    come = np.clip((numbers[:, np.newaxis] - knots[:-1]) / np.diff(knots), 0.0, 1.0)
    terms = np.concatenate([np.ones((len(numbers), 1)), come], axis=1)
    return np.asarray(terms @ np.linalg.lstsq(terms[fitted], y[fitted], rcond=None)[0])


def _ranks(labels: np.ndarray) -> np.ndarray:
    """Shares of rows with a smaller label; 0 and 1 stay, but for their scale."""
    return np.searchsorted(np.sort(labels), labels) / len(labels)
