"""The newest events of padded lists, moved to the front."""

import tensorflow as tf


class NewestEvents:
    """Where the newest `limit` events of each row lie, in a few operations: a request is made of many small ones.

    Args:
        present: bool `(b, n)`, where there is an event.
        limit: int or scalar tensor. How many to keep.

    Attributes:
        present: bool `(b, limit)`, where `read` has an event.
    """

    def __init__(self, present: tf.Tensor, limit: int | tf.Tensor) -> None:
        counted = tf.cast(present, tf.int32)
        count = tf.reduce_sum(counted, axis=1, keepdims=True)
        wanted = tf.maximum(count - limit, 0) + tf.range(1, limit + 1)  # (b, limit): 3 is the row's third event
        self.present = wanted <= count
        places = tf.raw_ops.LowerBound(sorted_inputs=tf.cumsum(counted, axis=1), values=wanted)
        self._places = tf.where(self.present, places + 1, 0)

    def read(self, values: tf.Tensor) -> tf.Tensor:
        """`(b, n, ...)` -> `(b, limit, ...)`, oldest event first, filled up with 0."""
        fill = [[0, 0], [1, 0], *([0, 0] for _ in values.shape[2:])]  # place 0 is that of no event
        return tf.gather(tf.pad(values, fill), self._places, axis=1, batch_dims=1)
