"""Errors of regression tasks, in the unit of the label."""

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import regression_rows


def rmse(labels: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the root mean squared error.

    Shapes: N rows.

    Args:
        labels: `(N,)`, finite or NaN. A row whose label is NaN (missing) is dropped.
        predictions: `(N,)`, finite.
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        The error, in the unit of the labels. NaN where no row has a label.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a column is not `(N,)`, a label is infinite, or a labeled row's prediction is not finite,
            or its weight is negative.

    Example:

    >>> rmse([1.0, 2.0], [4.0, 6.0])
    3.5355339059327378
    """
    rows = regression_rows("rmse", labels, predictions, weights)
    return float(np.sqrt(rows.mean(np.square(rows.labels - rows.predictions))))


def mae(labels: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the mean absolute error.

    Shapes: N rows.

    Args:
        labels: `(N,)`, finite or NaN. A row whose label is NaN (missing) is dropped.
        predictions: `(N,)`, finite.
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        The error, in the unit of the labels. NaN where no row has a label.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a column is not `(N,)`, a label is infinite, or a labeled row's prediction is not finite,
            or its weight is negative.

    Example:

    >>> mae([1.0, 2.0], [4.0, 6.0])
    3.5
    """
    rows = regression_rows("mae", labels, predictions, weights)
    return rows.mean(np.abs(rows.labels - rows.predictions))
