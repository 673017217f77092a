"""Rank scores that fall into the same bin of a histogram, with sums of a fixed size."""

import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from tfmtl.core.types import Tensor

_BITS = 3  # of a child's number
_CHILDREN = 2**_BITS
_LEVELS = 6
_WIDTHS = (499, 503, 509)  # primes, so that two parents hardly meet in more than one copy
_MULTIPLIERS = (1140071481, 1640531527, 1013904223)  # of the hashed signs

CELLS_PER_BIN = _CHILDREN**_LEVELS
"""How many cells of equal width a bin is cut into."""

COPIES = len(_WIDTHS)
"""How often everything is counted."""

_SHAPE = (2, _LEVELS, max(_WIDTHS), _CHILDREN)  # of a copy; of negatives first, then of positives

SIZE = math.prod(_SHAPE)
"""How many sums a copy has."""


def sums(cells: Tensor, is_positive: Tensor, weights: Tensor, copies: int) -> list[Tensor]:
    """What rows add to the sums of each copy.

    Each bin is cut into 8 parts, each part into 8, and so on, six times. A pair of scores in one bin is told apart at
    exactly one level: the two lie in one parent and in different children. Every level therefore needs the products of
    the counts of children of the same parent, for far more parents than memory holds. They share places: a parent's
    place is its number modulo a prime, and what it adds there has a random sign, so that in a product of two places
    whatever is not of one parent cancels on average (the Count-Sketch of an inner product). Neighboring parents, which
    a cluster of scores fills, never share a place. There are three copies with three primes.

    Args:
        cells: int64 `(B,)`, from 0.
        is_positive: bool `(B,)`.
        weights: float64 `(B,)`.
        copies: int. How many of the copies to fill.

    Returns:
        float64 `(SIZE,)` of each copy.
    """
    _, levels, width, _ = _SHAPE
    shifts = ops.convert_to_tensor([_BITS * level for level in range(_LEVELS - 1, -1, -1)], "int64")
    nodes = ops.right_shift(cells[:, None], shifts)  # (B, levels)
    parents, children = ops.right_shift(nodes, _BITS), ops.bitwise_and(nodes, _CHILDREN - 1)
    numbers = ops.cast(parents, "float64")
    first = ops.cast(is_positive, "int32")[:, None] * (SIZE // 2) + ops.cast(children, "int32")
    first = first + (np.arange(levels) * (width * _CHILDREN)).astype(np.int32)  # (B, levels)
    found = []
    for prime, multiplier in zip(_WIDTHS[:copies], _MULTIPLIERS[:copies], strict=True):
        # Some ten times as fast as a remainder of int64, and as exact: the half keeps clear of rounding, also where
        # TensorFlow multiplies by the inverse instead.
        places = ops.cast(numbers - prime * ops.floor((numbers + 0.5) / prime), "int32")
        signs = ops.cast(1 - 2 * ops.bitwise_and(ops.right_shift(parents * multiplier, 30), 1), weights.dtype)
        index, values = places * _CHILDREN + first, weights[:, None] * signs
        found.append(ops.segment_sum(ops.reshape(values, (-1,)), ops.reshape(index, (-1,)), num_segments=SIZE))
    return found


def pairs_won_less_lost(found: Sequence[Tensor]) -> Tensor:
    """Of the pairs inside of bins, how many more have the positive above than below; a float64 scalar.

    Args:
        found: the sums of all rows, float64 `(SIZE,)` of each copy. Where not all hold something, the first one says it
            alone.
    """
    _, levels, width, _ = _SHAPE
    order = np.sign(np.arange(_CHILDREN)[None, :] - np.arange(_CHILDREN)[:, None])  # 1 where the negative is below
    won, held = [], []
    for copy in found:
        negatives, positives = ops.unstack(ops.reshape(copy, (2, -1, _CHILDREN)))
        below = ops.matmul(negatives, ops.convert_to_tensor(order, copy.dtype))
        won.append(ops.sum(ops.reshape(positives * below, (levels, -1)), axis=1))
        held.append(
            ops.sum(ops.abs(negatives[:width])) + ops.sum(ops.abs(positives[:width]))
        )  # rows are in every level
    if len(won) == 1:
        return ops.sum(won[0])
    of_all = ops.stack(won)  # (copies, levels)
    medians = ops.sum(of_all, axis=0) - ops.max(of_all, axis=0) - ops.min(of_all, axis=0)  # of three
    return ops.where(ops.all(ops.not_equal(ops.stack(held), 0.0)), ops.sum(medians), ops.sum(won[0]))
