"""The best items of an index, with or without those that a user has seen."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

Index: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""Queries `(B, D)` and a number n -> scores and rows of the n best items, both `(B, n)`, best first."""


class Nearest(NamedTuple):
    """What `nearest` found, best first; where a user has seen too much, entries without an item come last.

    Args:
        rows: int32 `(B, n)`. The items' rows in the index.
        scores: float32 `(B, n)`.
        is_item: bool `(B, n)`.
    """

    rows: tf.Tensor
    scores: tf.Tensor
    is_item: tf.Tensor


def nearest(index: Index, queries: tf.Tensor, k: tf.Tensor, ids: tf.Tensor, seen: tf.Tensor | None = None) -> Nearest:
    """The `min(k, items)` best items of every query.

    Args:
        index: `Index`.
        queries: float32 `(B, D)`.
        k: int32 scalar.
        ids: `(items,)`. The items' ids.
        seen: `(B, S)` or None. Ids not to be found, of the same dtype; others do no harm. Defaults to `None`.
    """
    num_items = tf.shape(ids)[0]
    wanted = tf.minimum(k, num_items)
    if seen is None:
        scores, rows = index(queries, wanted)
        return Nearest(rows, scores, tf.ones_like(rows, tf.bool))
    # Were all that is seen among the best, these would still hold the k best of the others.
    scores, rows = index(queries, tf.minimum(k + tf.shape(seen)[1], num_items))
    is_new = ~tf.reduce_any(tf.gather(ids, rows)[:, :, tf.newaxis] == seen[:, tf.newaxis, :], axis=2)
    _, order = tf.math.top_k(tf.cast(is_new, tf.int32), wanted)  # equals keep their order
    return Nearest(*(tf.gather(part, order, batch_dims=1) for part in (rows, scores, is_new)))
