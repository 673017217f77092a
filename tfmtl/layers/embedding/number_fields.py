"""The vectors of scaled numbers: one each, or the sum of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfmtl.core.rows import with_equal_rows
from tfmtl.core.types import Tensor
from tfmtl.layers.embedding.embedding_plan import EmbeddingPlan
from tfmtl.layers.embedding.piecewise_numbers import PiecewiseNumbers, rows_among


@dataclass(frozen=True)
class NumberVectors:
    """Number `x` has the vector `x w + b`, and what `pieces` makes of it.

    Args:
        plan: `EmbeddingPlan`.
        kernel: `(numbers, D)`, the `w` of all numbers.
        bias: `(numbers, D)`.
        pieces: `PiecewiseNumbers` of all numbers, or `None`.
        dtype: the compute dtype.
    """

    plan: EmbeddingPlan
    kernel: Tensor
    bias: Tensor
    pieces: PiecewiseNumbers | None
    dtype: str

    def values(self, features: Mapping[str, Tensor]) -> Tensor:
        """All scaled numbers of the examples side by side, `(B, n)`; a feature is `(B,)`, or `(1,)` for all rows."""
        return self._stacked(features, range(len(self.plan.numbers)))

    def alone(self, features: Mapping[str, Tensor]) -> Tensor | None:
        """The vectors of the numbers that are not added to others, `(B, n, D)`; `None` where there is none."""
        places = range(sum(not each.joins for each in self.plan.numbers))  # the first ones
        if not places:
            return None
        values = self._stacked(features, places)
        kernel, bias = rows_among(self.kernel, places), rows_among(self.bias, places)
        vectors = tf.cast(values[:, :, tf.newaxis], self.dtype) * kernel + bias
        return vectors if self.pieces is None else vectors + self.pieces.some(values, places)

    def sums(self, features: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
        """Field -> the sums of its numbers' vectors, `(b, 1, D)`: of those with a row for all, and of the others."""
        found: dict[str, list[Tensor]] = {}
        for field, places in self.plan.joined_numbers.items():
            of_all = [place for place in places if features[self.plan.numbers[place].key].shape[0] == 1]
            for some in (of_all, [place for place in places if place not in of_all]):
                if some:
                    found.setdefault(field, []).append(self._sum(features, some))
        return found

    def of_events(self, place: int, values: Tensor) -> Tensor:
        """The vectors of one number of the events, `(B, L)` -> `(B, L, D)`."""
        vectors = tf.cast(values, self.dtype)[:, :, tf.newaxis] * self.kernel[place] + self.bias[place]
        return vectors if self.pieces is None else vectors + self.pieces.one(place, values)

    def _stacked(self, features: Mapping[str, Tensor], places: Sequence[int]) -> Tensor:
        return tf.stack(with_equal_rows([features[self.plan.numbers[place].key] for place in places]), axis=1)

    def _sum(self, features: Mapping[str, Tensor], places: Sequence[int]) -> Tensor:
        """One product of the numbers with their weights, `(b, 1, D)`."""
        values = self._stacked(features, places)
        kernel, bias = rows_among(self.kernel, places), rows_among(self.bias, places)
        total = tf.linalg.matmul(tf.cast(values, self.dtype), kernel) + tf.reduce_sum(bias, axis=0)
        if self.pieces is not None:
            total += self.pieces.sum_of(values, places)
        return total[:, tf.newaxis]
