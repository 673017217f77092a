"""Loss of tasks whose classes have an order."""

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses._masked_mean_loss import masked_mean_loss

_LEAST_GAP = 1e-6


def masked_cumulative_logit_loss(labels: Tensor, cumulative: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the mean negative log-likelihood of ordered classes, in nats, over the rows which have a label.

    With `P(y <= k) = sigmoid(a_k)` the probability of class k between two cuts is computed as `sigmoid(a_k)
    sigmoid(-a_(k-1)) (1 - exp(a_(k-1) - a_k))`, whose logarithm is finite where the difference of two sigmoids would
    round to 0.

    A row whose label is NaN (missing) or whose weight is 0 changes neither the loss nor any gradient, whatever its
    logits. Where no row counts, the loss is exactly 0 and so is its gradient. Computed in float32.

    Shapes: B batch, C classes.

    Args:
        labels: `(B,)`, the class from 0 to C - 1, or NaN. Not checked, since compiled code cannot raise.
        cumulative: `(B, C - 1)`, the logits `a_k` of `P(y <= k)`, rising, any float type.
        weights: `(B,)`, at least 0, or None. The mean is weighted: `sum(w loss) / sum(w)`. Defaults to `None`, every
            row counts once.

    Returns:
        float32 scalar, at least 0.

    Raises:
        ValueError: a shape is another, or the lengths differ.

    Example:

    >>> round(float(masked_cumulative_logit_loss([0.0, float("nan")], [[0.0, 1.0], [2.0, 3.0]])), 4)
    0.6931

    Reference:
        McCullagh 1980, "Regression models for ordinal data": the proportional-odds model.
    """
    cumulative = ops.convert_to_tensor(cumulative)
    cuts = cumulative.shape[-1]

    def row_loss(known: Tensor, logits: Tensor) -> Tensor:
        below = ops.one_hot(ops.cast(known, "int32") - 1, cuts, dtype="float32")  # all 0 for the lowest class
        above = ops.one_hot(ops.cast(known, "int32"), cuts, dtype="float32")  # all 0 for the highest
        has_below, has_above = ops.sum(below, axis=-1), ops.sum(above, axis=-1)
        lower, upper = ops.sum(below * logits, axis=-1), ops.sum(above * logits, axis=-1)
        is_inner = has_below * has_above
        gap = ops.where(is_inner > 0.0, ops.maximum(upper - lower, _LEAST_GAP), 1.0)
        log_share = (
            has_above * ops.log_sigmoid(upper)
            + has_below * ops.log_sigmoid(-lower)
            + is_inner * ops.log(-ops.expm1(-gap))
        )
        return -log_share

    return masked_mean_loss("masked_cumulative_logit_loss", labels, "cumulative", cumulative, weights, row_loss, cuts)
