"""Log loss of probabilities."""

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import probability_rows


def log_loss(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the mean negative log-likelihood of binary labels, in nats.

    Probabilities are clipped to [eps, 1 - eps], with eps the precision of float64 (2.2e-16) for 8-byte numbers, plain
    Python's among them, and of float32 (1.2e-7) for narrower ones. A float32 sigmoid answers exactly 1 from logit 17
    on; unclipped, one such wrong row makes the mean infinite. A wrong row so costs at most 36.0 nats (float64) or 15.9
    (float32). The loss on logits used in training has no such limit.

    Shapes: N rows.

    Args:
        labels: `(N,)`, 0, 1 or NaN. A row whose label is NaN (missing) is dropped.
        probabilities: `(N,)`, in [0, 1].
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Returns:
        The log loss, at least 0. NaN where no row has a label.

    Raises:
        TypeError: a column does not hold numbers.
        ValueError: a column is not `(N,)`, a label is not 0, 1 or NaN, or a labeled row's probability is outside
            [0, 1], or its weight is negative or not finite.

    Example:

    >>> round(log_loss([1, 0], [0.5, 0.5]), 4)
    0.6931
    """
    rows = probability_rows("log_loss", labels, probabilities, weights)
    is_double = np.asarray(probabilities).dtype.itemsize == 8
    eps = np.finfo(np.float64 if is_double else np.float32).eps
    clipped = np.clip(rows.predictions, eps, 1 - eps)
    # log1p keeps what 1 - p would round away for the small probabilities of rare events.
    return -rows.mean(np.where(rows.labels == 1, np.log(clipped), np.log1p(-clipped)))
