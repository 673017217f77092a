"""Find the distinct rows of a table that the whole batch reads."""

import tensorflow as tf

from tfmtl.core.replicas import gather_over_replicas
from tfmtl.core.types import Tensor
from tfmtl.optimizers import sum_duplicates


def distinct_rows(gradients: Tensor, row_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Every row that some replica looked up once, with the sum of the gradients of its look-ups.

    Args:
        gradients: of this replica's look-ups, `(N, size)`.
        row_ids: the rows that they looked up, of N elements in any shape.

    Returns:
        ids `(U,)` and gradients `(U, size)`.
    """
    ids = gather_over_replicas(tf.reshape(row_ids, (-1,)))
    return sum_duplicates(tf.IndexedSlices(gather_over_replicas(gradients), ids))
