"""Ids of several tensors side by side."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.layers.embedding.embedding_plan import IdColumn


def joined_ids(features: Mapping[str, Tensor], columns: Sequence[IdColumn]) -> Tensor:
    """The ids of the columns side by side, `(B, n)`."""
    ids = [tf.cast(features[column.key], tf.int32) for column in columns]
    pairs = zip(ids, columns, strict=True)
    return tf.concat([_flat(values, column) for values, column in pairs], axis=1)


def _flat(values: Tensor, column: IdColumn) -> Tensor:
    if not column.is_list:
        return values[:, tf.newaxis]
    return values if len(values.shape) == 2 else tf.reshape(values, (rows_of(values), column.length))


def rows_of(values: Tensor) -> int:
    """The rows as a shape names them; a static 1 holds for all rows of other tensors and must stay known."""
    return -1 if values.shape[0] is None else int(values.shape[0])
