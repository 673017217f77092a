"""Attention within sequences of one length."""

from collections.abc import Callable

import tensorflow as tf

from tfmtl.core.types import Tensor

_LOWEST = -1e30


def slot_attention(queries_keys: Tensor, values: Tensor, is_event: Tensor) -> Tensor:
    """Softmax attention of every event to the real events of its sequence.

    Shapes: N sequences, l their length, S streams, W width of values.

    Args:
        queries_keys: float `(N, l, S, 2, heads, d_h)`.
        values: float `(N, l, S, heads, W)`.
        is_event: bool `(N, l)`.

    Returns:
        float `(N, l, S, heads, W)`; zeros in a sequence without events.
    """
    queries, keys = tf.unstack(tf.transpose(queries_keys, (3, 0, 2, 4, 1, 5)))  # (N, S, heads, l, d_h)
    attended = _attention(
        queries * tf.cast(queries.shape[-1] ** -0.5, queries.dtype),
        keys,
        tf.transpose(values, (0, 2, 3, 1, 4)),
        is_event[:, tf.newaxis, tf.newaxis, tf.newaxis],
    )
    return tf.transpose(attended, (0, 3, 1, 2, 4))


@tf.custom_gradient
def _attention(
    queries: Tensor, keys: Tensor, values: Tensor, is_event: Tensor
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor, Tensor, None]]]:
    """Keeps one tensor of every pair of events; the product's own gradients, and a softmax's, would keep four.

    The division of a softmax is done on its product with the values, which is far smaller. Exponentials and their
    sums are float32.
    """
    scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32) + tf.where(is_event, 0.0, _LOWEST)
    powers = tf.exp(scores - tf.reduce_max(scores, axis=-1, keepdims=True))
    # A row without events has all its powers 1, and must have none.
    some = tf.cast(tf.reduce_any(is_event, axis=-1, keepdims=True), tf.float32)
    share = some / tf.reduce_sum(powers, axis=-1, keepdims=True)
    powers = tf.cast(powers, values.dtype)
    attended = tf.matmul(powers, values) * tf.cast(share, values.dtype)

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        shared = upstream * tf.cast(share, upstream.dtype)
        mean = tf.reduce_sum(shared * attended, axis=-1, keepdims=True)
        of_scores = powers * (tf.matmul(shared, values, transpose_b=True) - mean)
        return (
            tf.matmul(of_scores, keys),
            tf.matmul(of_scores, queries, transpose_a=True),
            tf.matmul(powers, shared, transpose_a=True),
            None,
        )

    return attended, gradient
