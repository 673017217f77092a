"""Sum the gradients of rows that a batch reads several times."""

import tensorflow as tf

from tfmtl.core.types import Tensor


def sum_duplicates(slices: tf.IndexedSlices) -> tuple[Tensor, Tensor]:
    """Returns every id once, with the sum of its rows.

    Norms, products and nonlinear updates of a sparse gradient are right on the result only: a row that a batch reads
    twice has two summands in `slices`. Rows of zeros stay. The work grows with N, not with the table.

    Shapes: N rows of the gradient, U distinct ids among them.

    Args:
        slices: `tf.IndexedSlices` of float `values` `(N, ...)` and int32 or int64 `indices` `(N,)`.

    Returns:
        ids `(U,)` in order of first appearance and values `(U, ...)`, of the types in `slices`.

    Example:

    >>> ids, values = sum_duplicates(tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([7, 3, 7])))
    >>> ids.numpy(), values.numpy()[:, 0]
    (array([7, 3], dtype=int32), array([5., 2.], dtype=float32))
    """
    ids, positions = tf.unique(slices.indices)
    num_rows, num_ids = tf.size(positions), tf.size(ids)
    # The product with the (U, N) matrix of zeros and ones is two to six times as fast on CPU as unsorted_segment_sum,
    # whose threads wait for each other where ids repeat; sorting the ids alone takes longer than the whole product.
    summed = tf.raw_ops.SparseTensorDenseMatMul(
        a_indices=tf.stack([positions, tf.range(num_rows)], axis=1),
        a_values=tf.ones([num_rows], slices.values.dtype),
        a_shape=tf.cast(tf.stack([num_ids, num_rows]), tf.int64),
        b=tf.reshape(slices.values, tf.stack([num_rows, -1])),
    )
    # Gradients that were gathered from replicas have lost their static shape.
    shape = tf.concat([[num_ids], tf.shape(slices.values)[1:]], axis=0)
    return ids, tf.ensure_shape(tf.reshape(summed, shape), [None, *slices.values.shape[1:]])  # (U, ...)
