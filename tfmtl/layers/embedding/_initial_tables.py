"""How tables start."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.initializers import small_uniform
from tfmtl.core.types import Shape, Tensor


class TableInitializer(keras.initializers.Initializer):
    """Small uniform values, zero in the given rows."""

    def __init__(self, zero_rows: list[int]) -> None:
        self._zero_rows = zero_rows
        self._uniform = small_uniform()

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        table = self._uniform(shape, dtype)
        rows = tf.constant(self._zero_rows)[:, tf.newaxis]
        return tf.tensor_scatter_nd_update(table, rows, tf.zeros((len(self._zero_rows), shape[1]), table.dtype))
