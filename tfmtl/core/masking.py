"""Mean and softmax over the real entries of padded rows.

Both are defined, as zero, for a row that is padding throughout, with zero gradient; both compute in float32 whatever
the type of their input, because bfloat16 counts and exponentials are too coarse; and neither lets a value at a
masked position, even NaN, through to the result or to a gradient.
"""

import tensorflow as tf
from keras import ops

from tfmtl.core.types import Tensor

_FLOAT32_MIN = -3.4e38


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Averages the last but one axis over the entries whose mask is true.

    Shapes: ... any leading axes, L length, D width.

    Args:
        values: float `(..., L, D)`.
        mask: bool `(..., L)`.

    Returns:
        float `(..., D)` of the type of `values`; zeros where the whole row is masked.
    """
    present = ops.where(mask[..., None], ops.cast(values, "float32"), 0.0)
    count = ops.sum(ops.cast(mask, "float32"), axis=-1, keepdims=True)  # (..., 1)
    return ops.cast(ops.sum(present, axis=-2) / ops.maximum(count, 1.0), values.dtype)


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis among the entries whose mask is true.

    Args:
        scores: float `(..., L)`.
        mask: bool, broadcastable to the shape of `scores`.

    Returns:
        float `(..., L)` of the type of `scores`: exactly zero at masked entries, rows that sum to 1, and zeros where
        the whole row is masked.
    """
    # A finite floor, not -inf: a row of -inf alone would have a NaN softmax.
    kept = ops.where(mask, ops.cast(scores, "float32"), _FLOAT32_MIN)
    # Not `ops.softmax`: it warns about an axis of size 1, and a sequence may well have that length.
    return ops.cast(ops.where(mask, tf.nn.softmax(kept, axis=-1), 0.0), scores.dtype)
