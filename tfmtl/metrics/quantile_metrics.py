"""Metrics of predicted quantiles."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import LabeledRows, check_length, labeled_rows, read_column
from tfmtl.schema.checks import error_text


def pinball_loss(
    labels: ArrayLike, predictions: ArrayLike, quantiles: Sequence[float], weights: ArrayLike | None = None
) -> float:
    """Returns the mean over rows and quantiles of `max(t (y - q), (t - 1) (y - q))`, for quantile t.

    Shapes: N rows, Q quantiles.

    Args:
        labels: `(N,)`, finite or NaN. A row whose label is NaN (missing) is dropped.
        predictions: `(N, Q)`, finite.
        quantiles: Q numbers in (0, 1).
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        The loss, at least 0, in the unit of the labels. NaN where no row has a label.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a shape is another.

    Example:

    >>> pinball_loss([4.0], [[2.0]], [0.5])
    1.0
    """
    rows = quantile_rows("pinball_loss", labels, predictions, quantiles, weights)
    levels = np.asarray(quantiles)
    errors = rows.labels[:, None] - rows.predictions
    return rows.mean(np.mean(np.maximum(levels * errors, (levels - 1.0) * errors), axis=1))


def coverage(
    labels: ArrayLike, predictions: ArrayLike, quantiles: Sequence[float], weights: ArrayLike | None = None
) -> list[float]:
    """Returns, for every quantile, the share of labels that are at most what was predicted: right if it is its level.

    Shapes: N rows, Q quantiles.

    Args:
        labels: As for `pinball_loss`.
        predictions: As for `pinball_loss`.
        quantiles: As for `pinball_loss`.
        weights: As for `pinball_loss`. Defaults to `None`, every row counts once.

    Returns:
        Q shares, NaN where no row has a label.

    Raises:
        TypeError: As for `pinball_loss`.
        ValueError: As for `pinball_loss`.

    Example:

    >>> coverage([1.0, 3.0], [[2.0, 4.0], [2.0, 4.0]], [0.5, 0.9])
    [0.5, 1.0]
    """
    rows = quantile_rows("coverage", labels, predictions, quantiles, weights)
    return [
        rows.mean((rows.labels <= rows.predictions[:, place]).astype(np.float64)) for place in range(len(quantiles))
    ]


def quantile_rows(
    owner: str, labels: ArrayLike, predictions: ArrayLike, quantiles: Sequence[float], weights: ArrayLike | None
) -> LabeledRows:
    """Labeled rows of a task that predicts quantiles; predictions are `(M, Q)`."""
    column, table = read_column(owner, "labels", labels), np.asarray(predictions, np.float64)
    if table.ndim != 2 or table.shape[1] != len(quantiles):
        rule = f"be (N, {len(quantiles)})"
        raise ValueError(error_text(owner, "predictions.shape", rule, table.shape, "Give a number for each quantile."))
    check_length(owner, "predictions", len(table), len(column))
    return labeled_rows(owner, column, table, weights)
