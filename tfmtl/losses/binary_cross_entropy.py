"""Loss of binary tasks."""

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses._masked_mean_loss import masked_mean_loss


def masked_binary_cross_entropy(labels: Tensor, logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the mean sigmoid cross-entropy, in nats, over the rows which have a label.

    A row whose label is NaN (missing) or whose weight is 0 changes neither the loss nor any gradient, whatever its
    logit. Where no row counts, the loss is exactly 0 and so is its gradient. Computed in float32 and from logits, so
    that it is finite, with a gradient, however wrong and sure the model is.

    Shapes: B batch.

    Args:
        labels: `(B,)`, 0, 1 or NaN. Not checked, since compiled code cannot raise.
        logits: `(B,)`, before the sigmoid, any float type.
        weights: `(B,)`, at least 0, or None. The mean is weighted: `sum(w loss) / sum(w)`. Defaults to `None`, every
            row counts once.

    Returns:
        float32 scalar, at least 0.

    Raises:
        ValueError: an argument is not `(B,)`, or the lengths differ.

    Example:

    >>> round(float(masked_binary_cross_entropy([1.0, float("nan")], [0.0, 5.0])), 4)
    0.6931
    """
    return masked_mean_loss(
        "masked_binary_cross_entropy",
        labels,
        "logits",
        logits,
        weights,
        lambda known, predicted: ops.binary_crossentropy(known, predicted, from_logits=True),
    )
