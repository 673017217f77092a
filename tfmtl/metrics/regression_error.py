"""Errors of regression tasks, in the unit of the label."""

import math

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import regression_rows


def rmse(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Returns the root mean squared error.

    Shapes: N rows.

    Args:
        labels: `(N,)`, finite or NaN. A row whose label is NaN (missing) is dropped.
        predictions: `(N,)`, finite.

    Returns:
        The error, in the unit of the labels. NaN where no row has a label.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a column is not `(N,)`, a label is infinite, or a labeled row's prediction is not finite.

    Example:

    >>> rmse([1.0, 2.0], [4.0, 6.0])
    3.5355339059327378
    """
    rows = regression_rows("rmse", labels, predictions)
    if rows.labels.size == 0:
        return math.nan
    return float(np.sqrt(np.mean(np.square(rows.labels - rows.predictions))))


def mae(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Returns the mean absolute error.

    Shapes: N rows.

    Args:
        labels: `(N,)`, finite or NaN. A row whose label is NaN (missing) is dropped.
        predictions: `(N,)`, finite.

    Returns:
        The error, in the unit of the labels. NaN where no row has a label.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a column is not `(N,)`, a label is infinite, or a labeled row's prediction is not finite.

    Example:

    >>> mae([1.0, 2.0], [4.0, 6.0])
    3.5
    """
    rows = regression_rows("mae", labels, predictions)
    if rows.labels.size == 0:
        return math.nan
    return float(np.mean(np.abs(rows.labels - rows.predictions)))
