"""Rank scores that fall into the same bin of a histogram, with sums of a fixed size."""

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

SHAPE = (2, _LEVELS, len(_WIDTHS), max(_WIDTHS), _CHILDREN)
"""The shape of the sums; of negatives first, then of positives."""


def sums(cells: Tensor, is_positive: Tensor, weights: Tensor) -> Tensor:
    """What rows add to the sums.

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

    Returns:
        float64, of the shape `SHAPE`.
    """
    _, levels, copies, width, _ = SHAPE
    shifts = ops.convert_to_tensor([_BITS * level for level in range(_LEVELS - 1, -1, -1)], "int64")
    nodes = ops.right_shift(cells[:, None], shifts)  # (B, levels)
    parents, children = ops.right_shift(nodes, _BITS)[:, :, None], ops.bitwise_and(nodes, _CHILDREN - 1)[:, :, None]
    places = ops.mod(parents, ops.convert_to_tensor(_WIDTHS, "int64"))  # (B, levels, copies)
    hashed = ops.right_shift(parents * ops.convert_to_tensor(_MULTIPLIERS, "int64"), 30)
    signs = 1 - 2 * ops.bitwise_and(hashed, 1)
    part = ops.cast(is_positive, "int64")[:, None, None] * levels + ops.arange(levels, dtype="int64")[:, None]
    index = ((part * copies + ops.arange(copies, dtype="int64")) * width + places) * _CHILDREN + children
    values = weights[:, None, None] * ops.cast(signs, weights.dtype)
    size = 2 * levels * copies * width * _CHILDREN
    index = ops.reshape(ops.cast(index, "int32"), (-1,))
    return ops.reshape(ops.segment_sum(ops.reshape(values, (-1,)), index, num_segments=size), SHAPE)


def pairs_won_less_lost(found: Tensor) -> Tensor:
    """Of the pairs inside of bins, how many more have the positive above than below; a float64 scalar.

    Args:
        found: the sums of all rows.
    """
    negatives, positives = found[0], found[1]
    order = np.sign(np.arange(_CHILDREN)[None, :] - np.arange(_CHILDREN)[:, None])  # 1 where the negative is below
    won = ops.sum(positives * ops.matmul(negatives, ops.convert_to_tensor(order, negatives.dtype)), axis=(2, 3))
    return ops.sum(ops.sum(won, axis=1) - ops.max(won, axis=1) - ops.min(won, axis=1))  # medians of the three copies
