"""Rank scores that fall into the same bin of a histogram, with sums of a fixed size."""

import math

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
_COPY_SIZE = math.prod(_SHAPE)

SIZE = COPIES * _COPY_SIZE
"""How many sums there are, copy after copy."""


def summands(cells: Tensor, is_positive: Tensor, weights: Tensor, copies: int) -> tuple[Tensor, Tensor]:
    """What rows add to the sums, and to which.

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
        Numbers of sums, int32 `(n,)`, and what is added to each, float64 `(n,)`; a sum may occur several times.
    """
    _, levels, width, _ = _SHAPE
    shifts = ops.convert_to_tensor([_BITS * level for level in range(_LEVELS - 1, -1, -1)], "int64")
    nodes = ops.right_shift(cells[:, None], shifts)  # (B, levels)
    parents, children = ops.right_shift(nodes, _BITS), ops.bitwise_and(nodes, _CHILDREN - 1)
    # Some ten times as fast as a remainder of int64, and as exact: the half keeps clear of rounding, also where
    # TensorFlow multiplies by the inverse instead.
    numbers = ops.cast(parents, "float64")[:, :, None]
    widths = ops.convert_to_tensor(_WIDTHS[:copies], "float64")
    places = ops.cast(numbers - widths * ops.floor((numbers + 0.5) / widths), "int32")  # (B, levels, copies)
    hashed = ops.right_shift(parents[:, :, None] * ops.convert_to_tensor(_MULTIPLIERS[:copies], "int64"), 30)
    signs = ops.cast(1 - 2 * ops.bitwise_and(hashed, 1), weights.dtype)
    tables = np.arange(copies) * _COPY_SIZE + np.arange(levels)[:, None] * (width * _CHILDREN)
    first = ops.cast(is_positive, "int32")[:, None] * (_COPY_SIZE // 2) + ops.cast(children, "int32")  # (B, levels)
    index = places * _CHILDREN + tables.astype(np.int32) + first[:, :, None]
    return ops.reshape(index, (-1,)), ops.reshape(weights[:, None, None] * signs, (-1,))


def pairs_won_less_lost(found: Tensor, copies: int) -> Tensor:
    """Of the pairs inside of bins, how many more have the positive above than below; a float64 scalar.

    Args:
        found: the sums of all rows, float64 `(SIZE,)`.
        copies: int. How many of the copies to read. Where not all hold something, the first one says it alone.
    """
    read = ops.reshape(found[: copies * _COPY_SIZE], (copies, *_SHAPE))
    order = np.sign(np.arange(_CHILDREN)[None, :] - np.arange(_CHILDREN)[:, None])  # 1 where the negative is below
    below = ops.matmul(read[:, 0], ops.convert_to_tensor(order, found.dtype))
    won = ops.sum(read[:, 1] * below, axis=(2, 3))  # (copies, levels)
    first = ops.sum(won[0])
    if copies == 1:
        return first
    are_filled = ops.all(ops.any(ops.not_equal(read, 0.0), axis=(1, 2, 3, 4)))
    medians = ops.sum(won, axis=0) - ops.max(won, axis=0) - ops.min(won, axis=0)  # of three
    return ops.where(are_filled, ops.sum(medians), first)
