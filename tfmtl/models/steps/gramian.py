"""The Gramian: the inner products of the tasks' gradients."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmtl.core.replicas import sum_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.models.steps.distinct_rows import distinct_rows
from tfmtl.models.steps.forward_pass import ForwardPass


def gramian(forward: ForwardPass, dense: Sequence[Tensor], rows: Mapping[str, Tensor]) -> Tensor:
    """The Gramian of the tasks' gradients of the whole batch, `(T, T)`, without the optimizer's loss scale.

    Of the tables, the rows that the batch touched enter, those looked up several times once, by their summed gradient.

    Args:
        forward: `ForwardPass`.
        dense: the tasks' gradients of a weight, `(T, size)`, for every weight.
        rows: width -> those of what was looked up, `(B, n, T, width)`.
    """
    products = []
    for matrix in dense:
        whole = sum_over_replicas(forward.unscaled(matrix))
        products.append(tf.matmul(whole, whole, transpose_b=True))
    return tf.add_n([*products, *(_row_gramian(forward, values, width) for width, values in rows.items())])


def _row_gramian(forward: ForwardPass, values: Tensor, table: str) -> Tensor:
    """The part of a table, `(T, T)`, from the gradients of its look-ups, `(B, n, T, width)`."""
    tasks, width = values.shape[2:]
    values = tf.reshape(forward.unscaled(values), (-1, tasks * width))
    _, summed = distinct_rows(values, forward.row_ids[table])  # (rows, T * width)
    summed = tf.reshape(summed, (-1, tasks, width))
    return tf.einsum("rtw,rsw->ts", summed, summed)
