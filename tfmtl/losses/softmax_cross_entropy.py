"""Loss of tasks with one of several classes."""

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses._masked_mean_loss import masked_mean_loss


def masked_softmax_cross_entropy(labels: Tensor, logits: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the mean softmax cross-entropy, in nats, over the rows which have a label.

    A row whose label is NaN (missing) or whose weight is 0 changes neither the loss nor any gradient, whatever its
    logits. Where no row counts, the loss is exactly 0 and so is its gradient. Computed in float32.

    Shapes: B batch, C classes.

    Args:
        labels: `(B,)`, the class from 0 to C - 1, or NaN. Not checked, since compiled code cannot raise.
        logits: `(B, C)`, before the softmax, any float type.
        weights: `(B,)`, at least 0, or None. The mean is weighted: `sum(w loss) / sum(w)`. Defaults to `None`, every
            row counts once.

    Returns:
        float32 scalar, at least 0.

    Raises:
        ValueError: a shape is another, or the lengths differ.

    Example:

    >>> round(float(masked_softmax_cross_entropy([1.0, float("nan")], [[0.0, 0.0], [5.0, 1.0]])), 4)
    0.6931
    """
    logits = ops.convert_to_tensor(logits)

    def row_loss(known: Tensor, predicted: Tensor) -> Tensor:
        # By a product with 0 and 1, because a gather by rows has no gradient that XLA compiles well.
        chosen = ops.one_hot(ops.cast(known, "int32"), predicted.shape[-1], dtype="float32")
        return -ops.sum(chosen * ops.log_softmax(predicted, axis=-1), axis=-1)

    return masked_mean_loss(
        "masked_softmax_cross_entropy", labels, "logits", logits, weights, row_loss, logits.shape[-1]
    )
