"""Exact area under the ROC curve."""

import math

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import binary_rows


def roc_auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the probability that a positive scores higher than a negative; a tie counts one half.

    Exact: it sorts all scores, O(N log N), where the streaming `HistogramAUC` counts them in bins.

    Shapes: N rows.

    Args:
        labels: `(N,)`, 0, 1 or NaN. A row whose label is NaN (missing) is dropped.
        scores: `(N,)`. Anything increasing with the belief in a positive: probabilities or logits.
        weights: `(N,)` or None. A row of weight w counts as w rows, so weight 0 is an absent row. Defaults to
            `None`, every row counts once.

    Returns:
        The area, in [0, 1]. NaN where no positive or no negative has weight: the area is then undefined.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a column is not `(N,)`, a label is not 0, 1 or NaN, a labeled row's score is NaN, or its weight
            is negative or not finite.

    Example:

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75

    Reference:
        Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve": the area is the Mann-Whitney
        statistic.
    """
    rows = binary_rows("roc_auc", labels, "scores", scores, weights)
    row_weights = np.ones_like(rows.labels) if rows.weights is None else rows.weights

    order = np.argsort(rows.predictions, kind="stable")
    ordered_scores = rows.predictions[order]
    starts_tie = np.ones(len(order), dtype=bool)
    starts_tie[1:] = ordered_scores[1:] != ordered_scores[:-1]
    ties = np.flatnonzero(starts_tie)
    positives = np.add.reduceat((row_weights * rows.labels)[order], ties)  # (number of distinct scores,)
    negatives = np.add.reduceat((row_weights * (1 - rows.labels))[order], ties)
    num_pairs = positives.sum() * negatives.sum()
    if num_pairs == 0:
        return math.nan
    negatives_below = np.cumsum(negatives) - negatives
    return float(np.sum(positives * (negatives_below + negatives / 2)) / num_pairs)
