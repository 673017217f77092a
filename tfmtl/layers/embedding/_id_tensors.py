"""Ids of several tensors side by side, and what their rows are to the features."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.layers.embedding.embedding_plan import EmbeddingPlan, IdColumn
from tfmtl.schema.reserved import MISSING_ID


def joined_ids(features: Mapping[str, Tensor], columns: Sequence[IdColumn]) -> Tensor:
    """The ids of the columns side by side, `(B, n)`."""
    parts = []
    for is_list, run in groupby(columns, lambda column: column.is_list):
        some = [(tf.cast(features[column.key], tf.int32), column) for column in run]
        parts += [_flat(*each) for each in some] if is_list else [tf.stack([values for values, _ in some], axis=1)]
    return tf.concat(parts, axis=1)


def _flat(values: Tensor, column: IdColumn) -> Tensor:
    return values if len(values.shape) == 2 else tf.reshape(values, (rows_of(values), column.length))


def rows_of(values: Tensor) -> int:
    """The rows as a shape names them; a static 1 holds for all rows of other tensors and must stay known."""
    return -1 if values.shape[0] is None else int(values.shape[0])


def id_vectors(
    plan: EmbeddingPlan,
    features: Mapping[str, Tensor],
    rows: Mapping[str, Tensor],
    project: Callable[[int, Tensor], Tensor],
    dtype: str,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Vectors `(B, n, D)` and presence `(B, n, 1)` of every id feature; of added ids the sum, under their field.

    Args:
        plan: `EmbeddingPlan`.
        features: encoded key -> ids.
        rows: width, as text -> the tables' rows of the ids side by side, `(B, n, width)`.
        project: width, `(B, n, width)` -> `(B, n, D)`.
        dtype: the compute dtype.
    """
    found: dict[str, Tensor] = {}
    present: dict[str, Tensor] = {}
    joined = plan.joined_ids
    for width, columns in plan.columns_among(features).items():
        mask = tf.cast(joined_ids(features, columns) != MISSING_ID, dtype)[:, :, tf.newaxis]
        gathered = tf.cast(rows[str(width)], dtype)
        is_trained = np.repeat([c.is_trained for c in columns], [c.length for c in columns])
        if not is_trained.all():
            gathered = tf.where(is_trained[:, np.newaxis], gathered, tf.stop_gradient(gathered))
        gathered = project(width, gathered) * mask
        named = [(joined.get(column.key, column.key), column) for column in columns]
        runs = [(key, [column for _, column in run]) for key, run in groupby(named, itemgetter(0))]
        sizes = [sum(c.length for c in run) for _, run in runs]
        parts = zip(runs, tf.split(gathered, sizes, axis=1), tf.split(mask, sizes, axis=1), strict=True)
        for (key, run), part, part_mask in parts:
            if run[0].key in joined:
                part = tf.reduce_sum(part, axis=1, keepdims=True)
                found[key] = found[key] + part if key in found else part
            else:
                found[key], present[key] = part, part_mask
    return found, present
