"""Attention within sequences of one length."""

from collections.abc import Callable

import tensorflow as tf

from tfmtl.core.custom_gradient import custom_gradient
from tfmtl.core.types import Tensor
from tfmtl.layers.sequence.blocked_attention import blocked_attention

LONGEST_WHOLE = 512
"""Events of the longest sequence whose weights are kept whole: above it, attention runs in blocks."""

_LOWEST = -1e30


def slot_attention(projected: Tensor, is_event: Tensor, streams: int, num_heads: int, width: int) -> Tensor:
    """Softmax attention of every event to the real events of its sequence.

    Shapes: N sequences, l their length, S streams, D width of a stream's queries and keys, V width of all values.

    Args:
        projected: float `(N, l, S * D + S * D + V)`: queries, divided by the root of a head's width, keys, and values;
            in each, heads stand side by side within streams.
        is_event: bool `(N, l)`.
        streams: int. S, how many attentions are computed side by side.
        num_heads: int. Of each.
        width: int. D.

    Returns:
        float `(N, l, V)`; zeros in a sequence without events.
    """
    _, length, total = projected.shape
    of_values = total - 2 * streams * width
    parts = tf.split(projected, [streams * width, streams * width, of_values], axis=2)
    queries, keys, values = (_by_head(part, streams, num_heads) for part in parts)
    attended = _attended(queries, keys, values, is_event[:, tf.newaxis, tf.newaxis, tf.newaxis])
    return tf.reshape(tf.transpose(attended, (0, 3, 1, 2, 4)), (-1, length, of_values))


def _by_head(values: Tensor, streams: int, num_heads: int) -> Tensor:
    """`(N, l, S * heads * w)` -> `(N, S, heads, l, w)`."""
    _, length, width = values.shape
    by_event = tf.reshape(values, (-1, length, streams, num_heads, width // (streams * num_heads)))
    return tf.transpose(by_event, (0, 2, 3, 1, 4))


def _attended(queries: Tensor, keys: Tensor, values: Tensor, is_event: Tensor) -> Tensor:
    bias = tf.where(is_event, 0.0, _LOWEST)
    attention = blocked_attention if queries.shape[-2] > LONGEST_WHOLE else _attention
    # A sequence without events has equal weights, and must have none; this is done where tensors are small.
    some = tf.cast(tf.reduce_any(is_event, axis=-1, keepdims=True), values.dtype)
    return attention(queries, keys, values, bias) * some


@custom_gradient
def _attention(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor, Tensor, None]]]:
    """Keeps one tensor of every pair of events; the product's own gradients, and a softmax's, would keep four.

    The softmax is float32.
    """
    scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32) + bias
    weights = tf.cast(tf.nn.softmax(scores), values.dtype)
    attended = tf.matmul(weights, values)

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        mean = tf.reduce_sum(upstream * attended, axis=-1, keepdims=True)
        of_scores = weights * (tf.matmul(upstream, values, transpose_b=True) - mean)
        return (
            tf.matmul(of_scores, keys),
            tf.matmul(of_scores, queries, transpose_a=True),
            tf.matmul(weights, upstream, transpose_a=True),
            None,
        )

    return attended, gradient
