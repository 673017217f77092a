"""Metrics of probabilities for several classes."""

import math

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import LabeledRows, check_length, labeled_rows, read_column
from tfmtl.metrics.roc_auc import roc_auc
from tfmtl.schema.checks import error_text


def class_log_loss(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the mean negative logarithm of the probability of the class that was right, in nats.

    Probabilities are clipped at float32's precision (1.2e-7), so that a wrong row costs at most 15.9 nats.

    Shapes: N rows, C classes.

    Args:
        labels: `(N,)`, the class from 0 to C - 1, or NaN. A row whose label is NaN (missing) is dropped.
        probabilities: `(N, C)`, in [0, 1].
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        The log loss, at least 0. NaN where no row has a label.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a shape is another, or a label is no class.

    Example:

    >>> round(class_log_loss([1, 0], [[0.5, 0.5], [0.5, 0.5]]), 4)
    0.6931
    """
    rows = class_rows("class_log_loss", labels, probabilities, weights)
    chosen = rows.predictions[np.arange(len(rows.labels)), rows.labels.astype(int)]
    return -rows.mean(np.log(np.clip(chosen, np.finfo(np.float32).eps, 1.0)))


def macro_auc(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the mean, over the classes that occur beside others, of the AUC of a class against all others.

    Shapes: N rows, C classes.

    Args:
        labels: As for `class_log_loss`.
        probabilities: As for `class_log_loss`.
        weights: As for `class_log_loss`. Defaults to `None`, every row counts once.

    Returns:
        The mean area, in [0, 1]. NaN where no class has both rows of its own and others.

    Raises:
        TypeError: As for `class_log_loss`.
        ValueError: As for `class_log_loss`.

    Example:

    >>> macro_auc([0, 1, 2], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    1.0
    """
    rows = class_rows("macro_auc", labels, probabilities, weights)
    areas = [
        roc_auc(rows.labels == place, rows.predictions[:, place], rows.weights)
        for place in range(rows.predictions.shape[1])
    ]
    known = [area for area in areas if not math.isnan(area)]
    return float(np.mean(known)) if known else math.nan


def class_rows(owner: str, labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None) -> LabeledRows:
    """Labeled rows of a task with classes; predictions are `(M, C)`."""
    column = read_column(owner, "labels", labels)
    table = np.asarray(probabilities, np.float64)
    if table.ndim != 2:
        advice = "Give a probability for each class."
        raise ValueError(error_text(owner, "probabilities.shape", "be (N, C)", table.shape, advice))
    check_length(owner, "probabilities", len(table), len(column))
    rows = labeled_rows(owner, column, table, weights)
    is_class = np.isin(rows.labels, np.arange(table.shape[1]))
    rows.check(
        owner, "labels", rows.labels, is_class, f"be a class from 0 to {table.shape[1] - 1}", "Look at the data."
    )
    return rows
