"""The real events of a batch as rows, without padding."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from tfmtl.core.custom_gradient import custom_gradient
from tfmtl.core.types import Tensor
from tfmtl.layers.sequence.slot_attention import slot_attention

_NUM_GROUPS = 4


@dataclass(frozen=True)
class _Group:
    """Sequences of about one length, cut there: `(n, length)` slots, of which `is_event` are filled."""

    length: int
    is_event: Tensor


class PackedRows:
    """One row for every real event, behavior by behavior, example by example.

    What is computed for each event by itself costs nothing for padding. Attention needs sequences: these are sorted
    into four groups by length, each padded to the longest that may be in it.

    Shapes: B batch, J behaviors, L sequence length, R rows, W any width.

    Args:
        event_mask: bool `(B, J, L)`, true at real events.
    """

    def __init__(self, event_mask: Tensor) -> None:
        mask = tf.convert_to_tensor(event_mask)
        self._shape = mask.shape
        _, behaviors, length = self._shape
        self.batch = tf.shape(mask)[0] if self._shape[0] is None else self._shape[0]
        """B, an int where it is known."""
        by_behavior = tf.transpose(mask, (1, 0, 2))  # (J, B, L)
        places = tf.cast(tf.where(by_behavior), tf.int32)
        behavior, example, position = tf.unstack(places, axis=1)  # each (R,)
        self._places = (example * behaviors + behavior) * length + position
        counts = tf.reduce_sum(tf.cast(by_behavior, tf.int32), axis=2)  # (J, B)
        self.counts = tf.transpose(counts)
        """Number of events, int `(B, J)`."""
        self._sizes = tf.reduce_sum(counts, axis=1)
        self._examples = tf.split(example, self._sizes, num=behaviors)
        counts = tf.reshape(counts, (-1,))  # of all sequences, (J * B,)
        ends = tf.cumsum(counts)
        self._sequences = behavior * self.batch + example  # each row's, in ascending order
        order = tf.range(tf.size(example))
        self.later = tf.gather(ends, self._sequences) - 1 - order
        """How many events of its sequence came after each row's, int `(R,)`."""
        self._groups, self._slots, bases = _grouped(counts, ends - counts, length)
        self._slot_of_row = tf.gather(bases, self._sequences) + order
        self._place_by_behavior = self._sequences * length + position  # ascending

    def pack(self, values: Tensor) -> Tensor:
        """`(B, J, L, W)` -> `(R, W)`."""
        *_, width = values.shape
        flat = tf.reshape(values, (-1, width))
        return _moved(flat, self._places, self._to_places)

    def unpack(self, rows: Tensor) -> Tensor:
        """`(R, W)` -> `(B, J, L, W)`, zeros at padded positions."""
        _, behaviors, length = self._shape
        width = rows.shape[-1]

        @custom_gradient
        def spread_out(values: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            return self._to_places(values), lambda gradient: tf.gather(gradient, self._places)

        return tf.reshape(spread_out(rows), (self.batch, behaviors, length, width))

    def _to_places(self, rows: Tensor) -> Tensor:
        # A place has one row at most; sums of sorted rows take a quarter of the time of `scatter_nd`.
        flat = tf.math.segment_sum(rows, self._place_by_behavior)
        _, behaviors, length = self._shape
        flat = tf.pad(flat, [[0, behaviors * self.batch * length - tf.shape(flat)[0]], [0, 0]])
        by_behavior = tf.reshape(flat, (behaviors, self.batch, length, rows.shape[1]))
        return tf.reshape(tf.transpose(by_behavior, (1, 0, 2, 3)), (-1, rows.shape[1]))

    def positions(self, table: Tensor) -> Tensor:
        """For every event the row of `(L, W)` at how many events of its sequence came later: `(R, W)`.

        A row is read thousands of times. Its gradient is a product with the `(L, R)` matrix of zeros and ones.
        TensorFlow's own keeps a row for each event, and the optimizer sums up the equal ones: several times as long.
        """

        @custom_gradient
        def looked_up(values: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            return tf.gather(values, self.later), lambda gradient: self._by_position(gradient, table.shape[0])

        return looked_up(table)

    def _by_position(self, rows: Tensor, length: int) -> Tensor:
        count = tf.size(self.later)
        return tf.raw_ops.SparseTensorDenseMatMul(
            a_indices=tf.stack([self.later, tf.range(count)], axis=1),
            a_values=tf.ones([count], rows.dtype),
            a_shape=tf.cast(tf.stack([length, count]), tf.int64),
            b=rows,
        )

    def by_behavior(self, rows: Tensor) -> list[Tensor]:
        """`(R, ...)` -> the rows of every behavior."""
        return list(tf.split(rows, self._sizes, num=self._shape[1]))

    def mean(self, rows: Tensor, behavior: int) -> Tensor:
        """The mean of every sequence of a behavior: its rows `(R_j, W)` -> `(B, W)`; zeros for an empty sequence."""
        examples = self._examples[behavior]
        share = 1.0 / tf.cast(tf.maximum(self.counts[:, behavior, tf.newaxis], 1), rows.dtype)

        @custom_gradient
        def averaged(values: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            # The rows are in the examples' order, and sums over sorted ones take a quarter of the time; the last
            # examples have none where they have no events.
            total = tf.math.segment_sum(values, examples)
            total = tf.pad(total, [[0, self.batch - tf.shape(total)[0]], [0, 0]])
            total = tf.reshape(total, (self.batch, values.shape[1]))  # tells that one user is one row, for `rank`
            return total * share, lambda gradient: tf.gather(gradient * share, examples)

        return averaged(rows)

    def given(self, values: Tensor) -> Tensor:
        """For every event what its sequence has: `(B, J, W)` -> `(R, W)`."""

        @custom_gradient
        def looked_up(of_sequences: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            return self._given(of_sequences), self._total

        return looked_up(values)

    def total(self, rows: Tensor) -> Tensor:
        """The sum of every sequence, of all behaviors: `(R, W)` -> `(B, J, W)`; zeros for an empty sequence."""

        @custom_gradient
        def summed(values: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            return self._total(values), self._given

        return summed(rows)

    def softmax(self, scores: Tensor) -> Tensor:
        """The softmax within every sequence, of each column by itself: float32 `(R, W)` -> `(R, W)`."""

        @custom_gradient
        def normalized(values: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            highest = tf.math.segment_max(values, self._sequences)
            powers = tf.exp(values - tf.gather(highest, self._sequences))
            weights = powers / self._sum_of_own_sequence(powers)

            def gradient(upstream: Tensor) -> Tensor:
                weighted = weights * upstream
                return weighted - weights * self._sum_of_own_sequence(weighted)

            return weights, gradient

        return normalized(scores)

    def _given(self, values: Tensor) -> Tensor:
        by_behavior = tf.transpose(values, (1, 0, 2))
        return tf.gather(tf.reshape(by_behavior, (-1, values.shape[2])), self._sequences)

    def _total(self, rows: Tensor) -> Tensor:
        sums = tf.math.segment_sum(_wide(rows), self._sequences)
        behaviors = self._shape[1]
        # The last sequences have no sum where they have no events.
        sums = tf.pad(sums, [[0, self.batch * behaviors - tf.shape(sums)[0]], [0, 0]])
        by_behavior = tf.reshape(sums, (behaviors, self.batch, rows.shape[1]))
        return tf.cast(tf.transpose(by_behavior, (1, 0, 2)), rows.dtype)

    def _sum_of_own_sequence(self, rows: Tensor) -> Tensor:
        return tf.gather(tf.math.segment_sum(rows, self._sequences), self._sequences)

    def attend(self, projected: Tensor, streams: int, num_heads: int, width: int) -> Tensor:
        """Attention within sequences.

        Args:
            projected: float `(R, W)`: queries, keys and values side by side, as in `slot_attention`.
            streams: int. How many attentions are computed side by side.
            num_heads: int.
            width: int. Of a stream's queries, and of its keys.

        Returns:
            float `(R, V)`, V the values' width.
        """
        slots = _moved(projected, self._slots, lambda rows: tf.gather(rows, self._slot_of_row))
        sizes = [tf.size(group.is_event) for group in self._groups]
        attended = []
        for group, part in zip(self._groups, tf.split(slots, sizes), strict=True):
            sequences = tf.reshape(part, (-1, group.length, part.shape[1]))
            result = slot_attention(sequences, group.is_event, streams, num_heads, width)
            attended.append(tf.reshape(result, (-1, result.shape[2])))
        return _moved(tf.concat(attended, axis=0), self._slot_of_row, self._to_slots)

    def _to_slots(self, rows: Tensor) -> Tensor:
        is_event = tf.concat([tf.reshape(group.is_event, (-1, 1)) for group in self._groups], axis=0)
        return tf.where(is_event, tf.gather(rows, self._slots), tf.zeros((), rows.dtype))


def _grouped(counts: Tensor, starts: Tensor, length: int) -> tuple[list[_Group], Tensor, Tensor]:
    """Sorts sequences by length.

    Returns:
        The groups; the row of every slot, group after group (of an empty slot any row); and for every sequence the slot
        of its first event less that event's row.
    """
    limits = sorted({-(-length * step // _NUM_GROUPS) for step in range(1, _NUM_GROUPS + 1)})
    groups, slots = [], []
    bases = tf.zeros_like(counts)
    used = tf.constant(0)
    for lowest, limit in zip([0, *limits], limits, strict=False):
        chosen = (counts > lowest) & (counts <= limit)
        members = tf.where(chosen)[:, 0]
        positions = tf.range(limit)
        is_event = positions < tf.gather(counts, members)[:, tf.newaxis]  # (n, l)
        rows = tf.where(is_event, tf.gather(starts, members)[:, tf.newaxis] + positions, 0)
        order = tf.cumsum(tf.cast(chosen, tf.int32), exclusive=True)
        bases = tf.where(chosen, used + order * limit - starts, bases)
        used += tf.size(rows)
        groups.append(_Group(limit, is_event))
        slots.append(tf.reshape(rows, (-1,)))
    return groups, tf.concat(slots, axis=0), bases


def _moved(values: Tensor, places: Tensor, back: Callable[[Tensor], Tensor]) -> Tensor:
    """The rows of `values` at `places`, no two of which that matter are one: so the gradient is moved `back`.

    TensorFlow's own gradient of a gather adds up rows one by one and takes several times as long.
    """

    @custom_gradient
    def moved(whole: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return tf.gather(whole, places), back

    return moved(values)


def _wide(rows: Tensor) -> Tensor:
    """In a type whose sums of many small numbers are not rounded away."""
    return tf.cast(rows, tf.float32) if rows.dtype.size < tf.float32.size else rows
