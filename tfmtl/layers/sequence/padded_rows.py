"""Every place of a batch's sequences as a row, for XLA, which needs shapes that no data decides."""

import tensorflow as tf

from tfmtl.core.masking import masked_softmax
from tfmtl.core.types import Tensor
from tfmtl.layers.sequence.slot_attention import slot_attention


class PaddedRows:
    """What `PackedRows` is, with a row for padded positions as well.

    Args:
        event_mask: bool `(B, J, L)`, true at real events.
    """

    def __init__(self, event_mask: Tensor) -> None:
        mask = tf.convert_to_tensor(event_mask)
        batch, self._behaviors, self._length = mask.shape
        self.batch = tf.shape(mask)[0] if batch is None else batch
        self._mask = tf.transpose(mask, (1, 0, 2))  # (J, B, L)
        real = tf.cast(self._mask, tf.int32)
        counts = tf.reduce_sum(real, axis=2)
        self.counts = tf.transpose(counts)
        self.later = tf.reshape(counts[..., tf.newaxis] - tf.cumsum(real, axis=2), (-1,))

    def pack(self, values: Tensor) -> Tensor:
        """`(B, J, L, W)` -> `(R, W)`, zeros at padded positions: not even a NaN there gets into the products."""
        by_behavior = tf.transpose(values, (1, 0, 2, 3))
        kept = tf.where(self._mask[..., tf.newaxis], by_behavior, tf.zeros((), values.dtype))
        return tf.reshape(kept, (-1, values.shape[-1]))

    def unpack(self, rows: Tensor) -> Tensor:
        """`(R, W)` -> `(B, J, L, W)`, zeros at padded positions."""
        kept = tf.where(self._mask[..., tf.newaxis], self._by_sequence(rows), tf.zeros((), rows.dtype))
        return tf.transpose(kept, (1, 0, 2, 3))

    def positions(self, table: Tensor) -> Tensor:
        """For every place the row of `(L, W)` at how many events of its sequence came later: `(R, W)`."""
        return tf.gather(table, self.later)

    def by_behavior(self, rows: Tensor) -> list[Tensor]:
        """`(R, ...)` -> the rows of every behavior."""
        return list(tf.split(rows, self._behaviors))

    def mean(self, rows: Tensor, behavior: int) -> Tensor:
        """The mean of every sequence of a behavior: its rows `(R_j, W)` -> `(B, W)`; zeros for an empty sequence."""
        by_sequence = tf.reshape(rows, (-1, self._length, rows.shape[-1]))
        kept = tf.where(self._mask[behavior][..., tf.newaxis], by_sequence, tf.zeros((), rows.dtype))
        count = tf.cast(self.counts[:, behavior, tf.newaxis], rows.dtype)
        return tf.reduce_sum(kept, axis=1) / tf.maximum(count, 1.0)

    def given(self, values: Tensor) -> Tensor:
        """For every event what its sequence has: `(B, J, W)` -> `(R, W)`."""
        by_behavior = tf.transpose(values, (1, 0, 2))[:, :, tf.newaxis]
        return tf.reshape(tf.repeat(by_behavior, self._length, axis=2), (-1, values.shape[2]))

    def total(self, rows: Tensor) -> Tensor:
        """The sum of every sequence, of all behaviors: `(R, W)` -> `(B, J, W)`; zeros for an empty sequence."""
        kept = tf.where(self._mask[..., tf.newaxis], self._by_sequence(rows), tf.zeros((), rows.dtype))
        return tf.transpose(tf.reduce_sum(kept, axis=2), (1, 0, 2))

    def softmax(self, scores: Tensor) -> Tensor:
        """The softmax within every sequence, of each column by itself: float32 `(R, W)` -> `(R, W)`."""
        columns = tf.transpose(self._by_sequence(scores), (0, 1, 3, 2))  # (J, B, W, L)
        weights = masked_softmax(columns, self._mask[:, :, tf.newaxis])
        return tf.reshape(tf.transpose(weights, (0, 1, 3, 2)), (-1, scores.shape[1]))

    def _by_sequence(self, rows: Tensor) -> Tensor:
        """`(R, W)` -> `(J, B, L, W)`."""
        return tf.reshape(rows, (self._behaviors, self.batch, self._length, rows.shape[-1]))

    def attend(self, projected: Tensor, streams: int, num_heads: int, width: int) -> Tensor:
        """Attention within sequences, as `PackedRows.attend`."""
        sequences = tf.reshape(projected, (-1, self._length, projected.shape[1]))
        is_event = tf.reshape(self._mask, (-1, self._length))
        attended = slot_attention(sequences, is_event, streams, num_heads, width)
        return tf.reshape(attended, (-1, attended.shape[2]))
