"""Loss of zero-inflated tasks, whose label is often 0 and otherwise an amount."""

import math

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses._masked_mean_loss import masked_mean_loss


def masked_zero_inflated_lognormal(labels: Tensor, raw: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the mean negative log-likelihood, in nats, over the rows which have a label.

    A label is above 0 with probability `sigmoid(a)`, and its logarithm is then normal with mean m and deviation
    `exp(s)`: cross-entropy on every known row, and `log y + s + log(2 pi) / 2 + (log y - m)^2 / (2 exp(2 s))` on those
    above 0, both divided by all known rows.

    A row whose label is NaN (missing) or whose weight is 0 changes neither the loss nor any gradient, whatever its
    raw output. Where no row counts, the loss is exactly 0 and so is its gradient. Computed in float32.

    Shapes: B batch.

    Args:
        labels: `(B,)`, at least 0, or NaN. Not checked, since compiled code cannot raise.
        raw: `(B, 3)`, a, m and s, any float type.
        weights: `(B,)`, at least 0, or None. The mean is weighted: `sum(w loss) / sum(w)`. Defaults to `None`, every
            row counts once.

    Returns:
        float32 scalar.

    Raises:
        ValueError: a shape is another, or the lengths differ.

    Example:

    >>> round(float(masked_zero_inflated_lognormal([0.0, float("nan")], [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])), 4)
    0.6931

    Reference:
        Wang et al. 2019, https://arxiv.org/abs/1912.07753, eq. 3.
    """

    def row_loss(known: Tensor, predicted: Tensor) -> Tensor:
        logit, mean, log_deviation = (predicted[:, place] for place in range(3))
        is_amount = known > 0.0
        log_label = ops.log(ops.where(is_amount, known, 1.0))  # of 0 it would be infinite, and 0 times that is NaN
        scaled = (log_label - mean) * ops.exp(-log_deviation)
        amount = log_label + log_deviation + 0.5 * math.log(2.0 * math.pi) + 0.5 * ops.square(scaled)
        happens = ops.binary_crossentropy(ops.cast(is_amount, "float32"), logit, from_logits=True)
        return happens + ops.where(is_amount, amount, 0.0)

    return masked_mean_loss("masked_zero_inflated_lognormal", labels, "raw", raw, weights, row_loss, 3)
