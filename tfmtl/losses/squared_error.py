"""Loss of regression tasks."""

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses._masked_mean_loss import masked_mean_loss


def masked_squared_error(labels: Tensor, predictions: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the mean squared error over the rows which have a label.

    A row whose label is NaN (missing) or whose weight is 0 changes neither the loss nor any gradient, whatever its
    prediction. Where no row counts, the loss is exactly 0 and so is its gradient. Computed in float32.

    Shapes: B batch.

    Args:
        labels: `(B,)`, finite or NaN.
        predictions: `(B,)`, any float type.
        weights: `(B,)`, at least 0, or None. The mean is weighted: `sum(w loss) / sum(w)`. Defaults to `None`, every
            row counts once.

    Returns:
        float32 scalar, at least 0, in the square of the labels' unit.

    Raises:
        ValueError: an argument is not `(B,)`, or the lengths differ.

    Example:

    >>> float(masked_squared_error([1.0, float("nan")], [4.0, 5.0]))
    9.0
    """
    return masked_mean_loss(
        "masked_squared_error",
        labels,
        "predictions",
        predictions,
        weights,
        lambda known, predicted: ops.square(known - predicted),
    )
