"""Factors of a row's loss from a column of the log."""

from keras import ops

from tfmtl.core.types import Tensor


def row_factors(values: Tensor, offset: float = 1.0) -> Tensor:
    """Returns `offset + value` for each row; a missing value (NaN) counts as 0.

    With clicks over impressions and an offset of 1 a creative that is clicked more weighs up to twice as much, and one
    without an impression still counts. Multiplied with a row's loss it never moves that row's best prediction, only
    whose errors the model avoids where it cannot avoid all.

    Shapes: B batch.

    Args:
        values: `(B,)`, at least 0 or NaN.
        offset: float. Defaults to `1.0`.

    Returns:
        float32 `(B,)`.

    Example:

    >>> ops.convert_to_numpy(row_factors([0.25, float("nan")])).tolist()
    [1.25, 1.0]

    Reference:
        Kitada et al. 2022, https://arxiv.org/abs/2204.11588, the CTR-weighted loss.
    """
    values = ops.cast(values, "float32")
    return offset + ops.where(ops.isnan(values), 0.0, values)
