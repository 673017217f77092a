"""Loss on the difference between two survival curves of one row."""

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import error_text


def consistency_loss(one: Tensor, other: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the mean squared difference of two predictions of survival at the same times.

    A short-term and a long-term head of one network both say how likely a row lives until the short horizon; nothing
    else makes them say the same.

    Shapes: B batch, M times.

    Args:
        one: `(B, M)`, survival by one head.
        other: `(B, M)`, survival by the other head at the same times.
        weights: `(B,)`, at least 0. The mean is weighted. Defaults to `None`, every row counts once.

    Returns:
        float32 scalar, at least 0: summed over times, mean over rows.

    Raises:
        ValueError: the shapes differ or are not `(B, M)`.

    Example:

    >>> round(float(consistency_loss([[0.5]], [[0.3]])), 4)
    0.04
    """
    one, other = ops.cast(one, "float32"), ops.cast(other, "float32")
    if len(one.shape) != 2 or tuple(one.shape[1:]) != tuple(other.shape[1:]):
        shapes = (tuple(one.shape), tuple(other.shape))
        advice = "Read both heads at the same times."
        raise ValueError(error_text("consistency_loss", "one.shape", "be (B, M), as `other`", shapes, advice))
    row_weights = ops.ones_like(one[:, 0]) if weights is None else ops.cast(weights, "float32")
    counted = ops.not_equal(row_weights, 0.0)[:, None]
    squares = squared_difference(ops.where(counted, one, 0.0), ops.where(counted, other, 0.0))
    return ops.divide_no_nan(ops.sum(row_weights * squares), ops.sum(row_weights))


def squared_difference(one: Tensor, other: Tensor) -> Tensor:
    """How far two predictions of survival at the same times are apart: `(B,)` of two `(B, M)`, summed over times."""
    return ops.sum(ops.square(one - other), axis=1)
