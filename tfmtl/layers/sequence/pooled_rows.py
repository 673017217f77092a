"""Pools a Transformer's events, given as rows, to one vector for every (task, behavior) pair."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.rows import has_one_for_many
from tfmtl.core.types import Tensor, Tensors
from tfmtl.layers.sequence.counted_pooling import CountedPooling
from tfmtl.layers.sequence.event_rows import EventRows
from tfmtl.layers.sequence.pair_products import ADAPTER_SHARE
from tfmtl.layers.sequence.pooling import Pooling, pool_pairs, pools_by_query
from tfmtl.layers.sequence.skip import skip
from tfmtl.layers.sequence.target_attention import TargetAttention
from tfmtl.layers.sequence.transformer_rows import pair_rows, scaled


@dataclass(frozen=True)
class EncodedRows:
    """What a Transformer made of events, before the last norm's scale and shift.

    Args:
        events: what it was given, float `(R, D)`.
        normalized: for every behavior its rows, float32 `(R_j, T, D)`.
        scale: float32 `(T, J, D)`, the last norm's.
        shift: float32 `(T, J, D)`.
        adapter: `down`, `up` and bias of a residual layer behind the norm, `(T, J, ...)`; may be empty.
    """

    events: Tensor
    normalized: list[Tensor]
    scale: Tensor
    shift: Tensor
    adapter: Sequence[Tensor] = ()

    def events_of(self, behavior: int) -> Tensor:
        """The rows of a behavior as the Transformer puts them out, `(R_j, T, D)` in the type of `events`."""
        rows = scaled(self.normalized[behavior], self.scale[:, behavior], self.shift[:, behavior])
        rows = tf.cast(rows, self.events.dtype)
        if not self.adapter:
            return rows
        _, up, _ = (each[:, behavior] for each in self.adapter)
        return rows + ADAPTER_SHARE * pair_rows(self._adapter_hidden(behavior), up)

    def all_events(self) -> Tensor:
        """The same of all behaviors, `(R, T, D)`."""
        return tf.concat([self.events_of(behavior) for behavior in range(len(self.normalized))], axis=0)

    def mean_of(self, behavior: int, rows: EventRows) -> Tensor:
        """The mean of these in every sequence, float32 `(B, T, D)`.

        What is linear is done to the mean: scale and shift of the norm, and the adapter's second product.
        """
        present = tf.cast(rows.counts[:, behavior] > 0, tf.float32)[:, tf.newaxis, tf.newaxis]
        mean = _mean(self.normalized[behavior], behavior, rows)
        mean = mean * self.scale[:, behavior] + present * self.shift[:, behavior]
        if not self.adapter:
            return mean
        _, up, _ = (each[:, behavior] for each in self.adapter)
        return mean + ADAPTER_SHARE * pair_rows(_mean(self._adapter_hidden(behavior), behavior, rows), up)

    def _adapter_hidden(self, behavior: int) -> Tensor:
        down, _, bias = (tf.cast(each[:, behavior], tf.float32) for each in self.adapter)
        scale, shift = self.scale[:, behavior], self.shift[:, behavior]
        bias = bias + tf.matmul(shift[:, tf.newaxis], down)[:, 0]
        rows = tf.cast(self.normalized[behavior], self.events.dtype)
        return tf.nn.relu(pair_rows(rows, scale[..., tf.newaxis] * down, bias))


def pooled_rows(
    pool: Pooling, encoded: EncodedRows, rows: EventRows, inputs: Tensors, skip_scale: keras.Variable | None
) -> Tensor:
    """Pools to `(B, T, J, D)`; with a `skip_scale`, of width D, events plus as much of what was made of them."""
    if pools_by_query(pool):
        made = encoded.all_events()
        if skip_scale is not None:
            made = skip(encoded.events[:, tf.newaxis], made, skip_scale)
        attention = pool.inner if isinstance(pool, CountedPooling) else pool
        if not isinstance(attention, TargetAttention) or has_one_for_many(inputs["events"], inputs["queries"]):
            return pool_pairs(pool, unpacked(made, rows), inputs)
        return _with_count(pool, _attended(attention, made, rows, inputs["queries"]), inputs)
    means = [encoded.mean_of(behavior, rows) for behavior in range(len(encoded.normalized))]
    if skip_scale is not None:
        parts = rows.by_behavior(encoded.events)
        of_events = [rows.mean(tf.cast(part, tf.float32), behavior) for behavior, part in enumerate(parts)]
        means = [skip(part[:, tf.newaxis], own, skip_scale) for part, own in zip(of_events, means, strict=True)]
    return _with_count(pool, ops.cast(tf.stack(means, axis=2), encoded.events.dtype), inputs)


def _attended(attention: TargetAttention, made: Tensor, rows: EventRows, queries: Tensor) -> Tensor:
    """Target attention of rows `(R, T, D)` by the queries of pairs, or of sequences: `(B, T, J, D)`."""
    by_pair = queries[:, tf.newaxis] if len(queries.shape) == 3 else queries
    pooled = attention.on_rows(made, rows, tf.transpose(by_pair, (0, 2, 1, 3)))
    return tf.transpose(pooled, (0, 2, 1, 3))


def _with_count(pool: Pooling, pooled: Tensor, inputs: Tensors) -> Tensor:
    if isinstance(pool, CountedPooling):
        return pooled + pool.count_vector(inputs["event_mask"])[:, tf.newaxis]
    return pooled


def unpacked(rows_of_pairs: Tensor, rows: EventRows) -> Tensor:
    """`(R, T, D)` -> `(B, T, J, L, D)`, zeros at padded positions."""
    _, tasks, width = rows_of_pairs.shape
    flat = rows.unpack(tf.reshape(rows_of_pairs, (-1, tasks * width)))  # (B, J, L, T * D)
    _, behaviors, length, _ = flat.shape
    return tf.transpose(tf.reshape(flat, (rows.batch, behaviors, length, tasks, width)), (0, 3, 1, 2, 4))


def _mean(values: Tensor, behavior: int, rows: EventRows) -> Tensor:
    """The mean of `(R_j, T, W)` in every sequence, float32 `(B, T, W)`."""
    _, tasks, width = values.shape
    flat = tf.reshape(tf.cast(values, tf.float32), (-1, tasks * width))
    return tf.reshape(rows.mean(flat, behavior), (rows.batch, tasks, width))
