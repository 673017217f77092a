"""Products with a dense layer's kernel that a caller has already computed in a cheaper way."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import keras
from keras import ops

from tfmtl.core.types import Tensor


@dataclass(frozen=True)
class GivenProduct:
    """A part of `inputs @ kernel`, and the columns of the inputs of which it is not.

    Args:
        product: float `(B, N * units)`, the sum over the columns that are covered; `(1, N * units)` if that is the same
            for all rows.
        rest: ranges of the columns that are not, each `(start, stop)`.
    """

    product: Tensor
    rest: tuple[tuple[int, int], ...]

    def complete(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """The whole product of `inputs` `(B, in)` and `kernel` `(in, N * units)`."""
        if not self.rest:
            return self.product
        return self.product + ops.matmul(self._of_rest(inputs, 1), self._of_rest(kernel, 0))

    def _of_rest(self, values: Tensor, axis: int) -> Tensor:
        # Split, not sliced: the gradient of a slice is as large as what it was cut from.
        parts = ops.split(values, [edge for pair in self.rest for edge in pair], axis=axis)
        return ops.concatenate(parts[1::2], axis=axis)  # before, between and behind them lies what is given


def uncovered(ranges: Sequence[tuple[int, int]], end: int) -> tuple[tuple[int, int], ...]:
    """What ranges leave out of `range(end)`."""
    edges = [0, *(edge for pair in sorted(ranges) for edge in pair), end]
    return tuple((start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop)


_GIVEN: ContextVar[Mapping[int, GivenProduct]] = ContextVar("given_products")


@contextmanager
def given_products(products: Mapping[keras.layers.Layer, GivenProduct]) -> Iterator[None]:
    """Within, each `StackedDense` in `products` that reads one input for all stacks takes its product from there."""
    token = _GIVEN.set({id(layer): product for layer, product in products.items()})
    try:
        yield
    finally:
        _GIVEN.reset(token)


def given_product(layer: keras.layers.Layer) -> GivenProduct | None:
    """What was given for a layer."""
    return _GIVEN.get({}).get(id(layer))
