"""Correlation of the labels of every two tasks, from sums that replicas can add."""

from collections.abc import Sequence

import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_one_of

CORRELATIONS: Sequence[str] = ("pearson", "cosine")
"""The measures by name."""

# Moments are exact to a few units in the last place of float32, a tenth of this share; a smaller variance cannot be
# told from none.
_ROUNDING = 1e-6


def label_moments(labels: Tensor, shift: Tensor | None = None) -> Tensor:
    """Sums over the rows where both tasks of a pair have a label.

    The moments of two batches add up to those of both together, so replicas sum theirs.

    Shapes: B batch, T tasks.

    Args:
        labels: float `(B, T)`, NaN where missing.
        shift: float `(T,)` or None. Subtracted from the labels: about their means over the training data, the same in
            every batch that is added. Pearson's correlation does not depend on it, but without it labels some hundred
            times larger than their spread lose digits of it to rounding, and from a thousand times on they count as
            constant. For the cosine leave it out. Defaults to `None`.

    Returns:
        float32 `(4, T, T)`: for tasks i and j the number of rows, and the sums of the label of i, of its square, and
        of the product of both labels.
    """
    # In float64, because float32 sums of many rows drift, and some accelerators round the factors of float32 products.
    labels = tf.cast(labels, tf.float64)
    present = tf.logical_not(tf.math.is_nan(labels))
    if shift is not None:
        labels = labels - tf.cast(shift, tf.float64)
    values = tf.where(present, labels, 0.0)  # (B, T)
    counted = tf.cast(present, tf.float64)
    pairs = [(counted, counted), (values, counted), (tf.square(values), counted), (values, values)]
    return tf.cast(tf.stack([tf.matmul(one, other, transpose_a=True) for one, other in pairs]), tf.float32)


def label_correlation(moments: Tensor, measure: str = "pearson") -> Tensor:
    """The size of every two tasks' correlation, over the rows where both have a label.

    Shapes: T tasks.

    Args:
        moments: float32 `(4, T, T)`, as `label_moments` returns them, or a sum of such.
        measure: str. `"pearson"`, or `"cosine"` of the two vectors of labels. Defaults to `"pearson"`.

    Returns:
        float32 `(T, T)`, symmetric, in [0, 1]; 0 where two tasks have no row in common, and where a label is constant
        (`"pearson"`) or always zero (`"cosine"`) in the common rows.

    Raises:
        ValueError: If `measure` is unknown.
    """
    check_one_of("label_correlation", "measure", measure, CORRELATIONS)
    count, total, square, product = tf.unstack(tf.cast(moments, tf.float64), num=4)
    if measure == "pearson":
        # Of the first task of a pair; the transposed matrices hold the second's.
        product = product - tf.math.divide_no_nan(total * tf.transpose(total), count)
        variance = square - tf.math.divide_no_nan(tf.square(total), count)
        square = tf.where(variance > _ROUNDING * square, variance, 0.0)
    ratio = tf.math.divide_no_nan(tf.abs(product), tf.sqrt(square * tf.transpose(square)))
    return tf.cast(tf.minimum(ratio, 1.0), tf.float32)
