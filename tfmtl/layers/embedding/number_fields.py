"""The vectors of scaled numbers: one each, or the sum of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import tensorflow as tf

from tfmtl.core.rows import with_equal_rows
from tfmtl.core.types import Tensor
from tfmtl.layers.embedding._id_tensors import rows_of
from tfmtl.layers.embedding.embedding_plan import EmbeddingPlan
from tfmtl.layers.embedding.piecewise_numbers import Bins, PiecewiseNumbers, rows_among


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
        places = [place for place, each in enumerate(self.plan.numbers) if each.joins]
        of_all = [place for place in places if features[self.plan.numbers[place].key].shape[0] == 1]
        if places:
            inputs = self._inputs()  # once, though two groups read it
            for some in (of_all, [place for place in places if place not in of_all]):
                for field, total in self._sums(features, some, *inputs):
                    found.setdefault(field, []).append(total)
        return found

    def of_events(self, place: int, values: Tensor) -> Tensor:
        """The vectors of one number of the events, `(B, L)` -> `(B, L, D)`."""
        vectors = tf.cast(values, self.dtype)[:, :, tf.newaxis] * self.kernel[place] + self.bias[place]
        return vectors if self.pieces is None else vectors + self.pieces.one(place, values)

    def _stacked(self, features: Mapping[str, Tensor], places: Sequence[int]) -> Tensor:
        return tf.stack(with_equal_rows([features[self.plan.numbers[place].key] for place in places]), axis=1)

    def _inputs(self) -> tuple[Tensor, Bins | None]:
        """Of every number the weights of 1, of itself and of its bins, `(numbers, 2 + K, D)`; and the bins."""
        weights = [tf.convert_to_tensor(each)[:, tf.newaxis] for each in (self.bias, self.kernel)]
        if self.pieces is None:
            return tf.concat(weights, axis=1), None
        return tf.concat([*weights, tf.convert_to_tensor(self.pieces.kernel)], axis=1), Bins.between(self.pieces.knots)

    def _sums(
        self, features: Mapping[str, Tensor], places: Sequence[int], weights: Tensor, bins: Bins | None
    ) -> list[tuple[str, Tensor]]:
        """Fields, as often as runs of their numbers are among the places, and `(b, 1, D)`, a product for each."""
        if not places:
            return []
        values = self._stacked(features, places)
        number = tf.cast(values, self.dtype)[:, :, tf.newaxis]
        inputs = [tf.ones_like(number), number]  # what every number's weights are multiplied with
        if bins is not None:
            inputs.append(bins.among(places).encode(values, self.dtype))
        runs = [(field, len(list(run))) for field, run in groupby(places, lambda place: self.plan.numbers[place].joins)]
        width = weights.shape[1]
        sizes = [count * width for _, count in runs]
        # Split, not sliced: the gradient of a slice is as large as what it was cut from.
        of_rows = tf.split(tf.reshape(tf.concat(inputs, axis=2), (rows_of(values), sum(sizes))), sizes, axis=1)
        of_numbers = tf.split(tf.reshape(rows_among(weights, places), (sum(sizes), -1)), sizes)
        products = [tf.matmul(*pair)[:, tf.newaxis] for pair in zip(of_rows, of_numbers, strict=True)]
        return [(field, product) for (field, _), product in zip(runs, products, strict=True)]
