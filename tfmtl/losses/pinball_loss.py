"""Loss of tasks that predict quantiles."""

from collections.abc import Sequence

import numpy as np
from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.losses._masked_mean_loss import masked_mean_loss


def masked_pinball_loss(
    labels: Tensor, predictions: Tensor, quantiles: Sequence[float], weights: Tensor | None = None
) -> Tensor:
    """Returns the mean pinball loss over quantiles and the rows which have a label.

    Of quantile t it is `max(t (y - q), (t - 1) (y - q))`, least where a share t of the labels lies below q.

    A row whose label is NaN (missing) or whose weight is 0 changes neither the loss nor any gradient, whatever its
    predictions. Where no row counts, the loss is exactly 0 and so is its gradient. Computed in float32.

    Shapes: B batch, Q quantiles.

    Args:
        labels: `(B,)`, finite or NaN.
        predictions: `(B, Q)`, any float type.
        quantiles: Q numbers in (0, 1).
        weights: `(B,)`, at least 0, or None. The mean is weighted: `sum(w loss) / sum(w)`. Defaults to `None`, every
            row counts once.

    Returns:
        float32 scalar, at least 0, in the labels' unit.

    Raises:
        ValueError: a shape is another, or the lengths differ.

    Example:

    >>> float(masked_pinball_loss([4.0, float("nan")], [[2.0], [5.0]], [0.5]))
    1.0

    Reference:
        Koenker and Bassett 1978, "Regression quantiles".
    """
    levels = np.asarray(quantiles, np.float32)

    def row_loss(known: Tensor, predicted: Tensor) -> Tensor:
        errors = known[:, None] - predicted
        return ops.mean(ops.maximum(levels * errors, (levels - 1.0) * errors), axis=-1)

    return masked_mean_loss("masked_pinball_loss", labels, "predictions", predictions, weights, row_loss, len(levels))
