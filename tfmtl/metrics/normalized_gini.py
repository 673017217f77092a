"""The normalized Gini coefficient: how well amounts are ranked."""

import math

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import Floats, regression_rows


def normalized_gini(labels: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the Gini coefficient of the labels in the order of the predictions, divided by that of the best order.

    Rows are taken from the highest prediction down; the Gini coefficient is twice the area between the share of the
    labels' sum that is gathered and the share of rows. 1 is the order of the labels themselves, 0 a random one, -1 the
    reverse. Rows of equal prediction are taken together.

    Shapes: N rows.

    Args:
        labels: `(N,)`, at least 0, or NaN. A row whose label is NaN (missing) is dropped.
        predictions: `(N,)`, finite.
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        The ratio, in [-1, 1]. NaN where all labels are equal, or no row has one.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a column is not `(N,)`, or a value is not finite.

    Example:

    >>> normalized_gini([0.0, 1.0, 5.0], [0.1, 0.2, 0.3])
    1.0

    Reference:
        Wang et al. 2019, https://arxiv.org/abs/1912.07753, section 3.2.
    """
    rows = regression_rows("normalized_gini", labels, predictions, weights)
    counted = np.ones_like(rows.labels) if rows.weights is None else rows.weights
    best = _gini(rows.labels, rows.labels, counted)
    return _gini(rows.labels, rows.predictions, counted) / best if best > 0.0 else math.nan


def _gini(labels: Floats, scores: Floats, weights: Floats) -> float:
    total = float(np.sum(weights * labels))
    if not total:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    ends = np.append(scores[order][1:] != scores[order][:-1], True)  # of rows with one score
    rows = np.concatenate([[0.0], np.cumsum(weights[order])[ends]]) / weights.sum()
    gathered = np.concatenate([[0.0], np.cumsum((weights * labels)[order])[ends]]) / total
    area = float(np.sum(np.diff(rows) * (gathered[1:] + gathered[:-1]) / 2.0))
    return 2.0 * area - 1.0
