"""Softmax attention that never holds a tensor of every pair of events."""

from collections.abc import Callable

import tensorflow as tf

from tfmtl.core.custom_gradient import custom_gradient
from tfmtl.core.types import Tensor

BLOCK = 128
"""How many queries are looked at together."""


@custom_gradient
def blocked_attention(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor, Tensor, None]]]:
    """Attention of one block of queries after the other: memory grows with the length, time with its square.

    The gradient computes each block's weights once more, one product of six, rather than keep them. The softmax is
    float32.

    Shapes: any leading axes, l events, w width of queries and keys, v width of values.

    Args:
        queries: float `(..., l, w)`, already divided by the root of w.
        keys: float `(..., l, w)`.
        values: float `(..., l, v)`.
        bias: float32, broadcast to `(..., 1, l)`. Added to the scores: very negative where a key is no event.

    Returns:
        float `(..., l, v)`.

    Reference:
        Rabe and Staats 2021, "Self-attention Does Not Need O(n^2) Memory", https://arxiv.org/abs/2112.05682; here in
        blocks of queries alone.
    """

    def weighted(block: Tensor) -> Tensor:
        return tf.matmul(_weights(block, keys, bias, values.dtype), values)

    query_blocks = _to_blocks(queries)
    # One iteration at a time: several would hold their weights together.
    attended = _from_blocks(tf.map_fn(weighted, query_blocks, parallel_iterations=1), queries.shape[-2])

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        means = tf.reduce_sum(upstream * attended, axis=-1, keepdims=True)
        upstream_blocks, mean_blocks = _to_blocks(upstream), _to_blocks(means)
        number = query_blocks.shape[0]

        def add_block(
            index: Tensor, of_queries: tf.TensorArray, of_keys: Tensor, of_values: Tensor
        ) -> tuple[Tensor, tf.TensorArray, Tensor, Tensor]:
            block, back, mean = (tf.gather(each, index) for each in (query_blocks, upstream_blocks, mean_blocks))
            weights = _weights(block, keys, bias, values.dtype)
            of_scores = weights * (tf.matmul(back, values, transpose_b=True) - mean)
            return (
                index + 1,
                of_queries.write(index, tf.matmul(of_scores, keys)),
                of_keys + tf.cast(tf.matmul(of_scores, block, transpose_a=True), tf.float32),
                of_values + tf.cast(tf.matmul(weights, back, transpose_a=True), tf.float32),
            )

        start = (
            tf.constant(0),
            tf.TensorArray(queries.dtype, number, element_shape=query_blocks.shape[1:]),
            tf.zeros(tf.shape(keys)),
            tf.zeros(tf.shape(values)),
        )
        _, of_queries, of_keys, of_values = tf.while_loop(
            lambda index, *_: index < number, add_block, start, parallel_iterations=1
        )
        return (
            _from_blocks(of_queries.stack(), queries.shape[-2]),
            tf.cast(of_keys, keys.dtype),
            tf.cast(of_values, values.dtype),
            None,
        )

    return attended, gradient


def _weights(queries: Tensor, keys: Tensor, bias: Tensor, dtype: tf.DType) -> Tensor:
    scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32) + bias
    return tf.cast(tf.nn.softmax(scores), dtype)


def _to_blocks(rows: Tensor) -> Tensor:
    """`(..., l, w)` -> `(blocks, ..., BLOCK, w)`; the last block is filled with zeros, whose gradients are zero."""
    *leading, length, width = rows.shape
    number = -(-length // BLOCK)
    padded = tf.pad(rows, [[0, 0]] * len(leading) + [[0, number * BLOCK - length], [0, 0]])
    blocks = tf.reshape(padded, tf.concat([tf.shape(rows)[:-2], [number, BLOCK, width]], axis=0))
    axes = range(len(leading))
    return tf.transpose(blocks, (len(leading), *axes, len(leading) + 1, len(leading) + 2))


def _from_blocks(blocks: Tensor, length: int) -> Tensor:
    """`(blocks, ..., BLOCK, w)` -> `(..., l, w)`."""
    number, *leading, _, width = blocks.shape
    axes = range(1, len(leading) + 1)
    rows = tf.transpose(blocks, (*axes, 0, len(leading) + 1, len(leading) + 2))
    shape = tf.concat([tf.shape(rows)[: len(leading)], [number * BLOCK, width]], axis=0)
    return tf.reshape(rows, shape)[..., :length, :]
