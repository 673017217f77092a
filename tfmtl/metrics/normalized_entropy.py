"""Log loss relative to that of predicting the base rate."""

import math

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import probability_rows
from tfmtl.metrics.log_loss import log_loss


def normalized_entropy(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the log loss divided by the entropy of the labels' base rate.

    1 is what answering the base rate for every row gives, less is better. Dividing makes tasks and data sets of
    different base rates comparable, which log loss alone is not. The base rate is that of the rows given.

    Shapes: N rows.

    Args:
        labels: `(N,)`, 0, 1 or NaN. A row whose label is NaN (missing) is dropped.
        probabilities: `(N,)`, in [0, 1]; clipped as in `log_loss`.
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        The normalized entropy, at least 0. NaN where the labeled rows hold one class or there are none: the entropy
        of the base rate is then 0.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a column is not `(N,)`, a label is not 0, 1 or NaN, or a labeled row's probability is outside
            [0, 1], or its weight is negative or not finite.

    Example:

    >>> normalized_entropy([1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25])
    1.0

    Reference:
        He et al. 2014, "Practical lessons from predicting clicks on ads at Facebook", eq. 1.
    """
    rows = probability_rows("normalized_entropy", labels, probabilities, weights)
    base_rate = rows.mean(rows.labels)
    if not 0.0 < base_rate < 1.0:
        return math.nan
    entropy = -(base_rate * np.log(base_rate) + (1 - base_rate) * np.log1p(-base_rate))
    return float(log_loss(labels, probabilities, weights) / entropy)
