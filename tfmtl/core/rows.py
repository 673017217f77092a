"""Joining tensors that have one row for all examples (one user) with tensors of many rows (candidates)."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmtl.core.types import Tensor


def with_equal_rows(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Repeats those of one row as often as the others have rows, so that they can be joined.

    Arithmetic broadcasts by itself, so only what concatenates or stacks needs this, and all before it is computed on
    the one row. A tensor has one row if its static shape says so: where every batch is of unknown size, as in training,
    nothing is done.

    Args:
        tensors: `(1, ...)` or `(N, ...)`, with one N.
    """
    many = next((tensor for tensor in tensors if tensor.shape[0] != 1), None)
    if many is None or all(tensor.shape[0] != 1 for tensor in tensors):
        return list(tensors)
    rows = tf.shape(many)[0]
    # One operation; `repeat` takes a dozen, of which a request pays for each.
    return [
        tf.tile(tensor, [rows, *(1 for _ in tensor.shape[1:])]) if tensor.shape[0] == 1 else tensor
        for tensor in tensors
    ]


def parts_of_equal_rows(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """The tensors of one row, and the others; only the parts that hold any."""
    one = {name: tensor for name, tensor in tensors.items() if tensor.shape[0] == 1}
    many = {name: tensor for name, tensor in tensors.items() if name not in one}
    return [part for part in (one, many) if part]


def has_one_for_many(tensor: Tensor, other: Tensor) -> bool:
    """Whether one of two tensors has one row for all rows of the other: one user's events for many queries."""
    return bool((tensor.shape[0] == 1) != (other.shape[0] == 1))
