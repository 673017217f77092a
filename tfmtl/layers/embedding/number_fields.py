"""The vectors of scaled numbers: one each, or the sum of several."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmtl.core.rows import with_equal_rows
from tfmtl.core.types import Tensor
from tfmtl.layers.embedding.embedding_plan import EmbeddingPlan


def lone_numbers(
    plan: EmbeddingPlan, features: Mapping[str, Tensor], kernel: Tensor, bias: Tensor, dtype: str
) -> Tensor | None:
    """`x w + b` of every number that is not added to others, `(B, n, D)`; `None` where there is none.

    Args:
        plan: `EmbeddingPlan`.
        features: encoded key -> `(B,)` or, where it holds for all rows, `(1,)`.
        kernel: `(numbers, D)`, the `w` of all numbers.
        bias: `(numbers, D)`.
        dtype: the compute dtype.
    """
    alone = [each for each in plan.numbers if not each.joins]  # the first ones
    if not alone:
        return None
    numbers = with_equal_rows([features[each.key] for each in alone])
    stacked = tf.cast(tf.stack(numbers, axis=1)[:, :, tf.newaxis], dtype)
    if len(alone) < len(plan.numbers):
        kernel, bias = kernel[: len(alone)], bias[: len(alone)]
    return stacked * kernel + bias


def summed_numbers(
    plan: EmbeddingPlan, features: Mapping[str, Tensor], kernel: Tensor, bias: Tensor, dtype: str
) -> dict[str, list[Tensor]]:
    """Field -> the sums of its numbers' `x w + b`, `(b, 1, D)`: of those with a row for all, and of the others.

    A sum is one product of the numbers with their weights. The arguments are those of `lone_numbers`.
    """
    found: dict[str, list[Tensor]] = {}
    for field, places in plan.joined_numbers.items():
        given = {place: features[plan.numbers[place].key] for place in places}
        of_all = [place for place in places if given[place].shape[0] == 1]
        for some in (of_all, [place for place in places if place not in of_all]):
            if some:
                found.setdefault(field, []).append(_sum([given[place] for place in some], some, kernel, bias, dtype))
    return found


def _sum(numbers: Sequence[Tensor], places: Sequence[int], kernel: Tensor, bias: Tensor, dtype: str) -> Tensor:
    stacked = tf.cast(tf.stack(numbers, axis=1), dtype)
    first, last = places[0], places[-1] + 1  # a record's numbers lie together; those of two sides may not
    if last - first == len(places):
        kernel, bias = kernel[first:last], bias[first:last]
    else:
        kernel, bias = tf.gather(kernel, places), tf.gather(bias, places)
    return (tf.linalg.matmul(stacked, kernel) + tf.reduce_sum(bias, axis=0))[:, tf.newaxis]
