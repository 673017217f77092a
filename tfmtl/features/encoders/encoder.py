"""The base class of encoders."""

import math
from typing import Any

import keras

from tfmtl.core.initializers import SPREAD, small_uniform
from tfmtl.core.types import Tensor


class Encoder(keras.layers.Layer):
    """Elements of a list, oldest or first one first, to one vector; what is filled up behind never changes it.

    Works row by row. Where a list has no elements the result is finite and says nothing.

    Shapes: b rows, L elements, W their width, D `dim`.

    Args:
        dim: int. D.
        **kwargs: passed to `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, L, W)`, zero where there is no element.
        mask: `(b, L)`, 1 where there is one.

    Returns:
        `(b, D)` in the compute dtype.
    """

    def __init__(self, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim = dim

    def small_dense(self, inputs: int, name: str) -> keras.layers.Dense:
        """A layer `inputs` -> D, whose outputs are as large as embeddings where its inputs are about 1."""
        kernel = small_uniform(SPREAD / math.sqrt(inputs))
        dense = keras.layers.Dense(self.dim, kernel_initializer=kernel, dtype=self.dtype_policy, name=name)
        dense.build((None, inputs))
        return dense

    def call(self, inputs: Tensor, mask: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}: `call` must be overridden.")
