"""The fields of vectors."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.initializers import SPREAD, small_uniform
from tfmtl.core.types import Tensor
from tfmtl.features.field_layer import FieldLayer


class VectorFields(FieldLayer):
    """`x W + b` of every vector, and `b + m` with a learned `m` where it is missing.

    Args:
        records: the `VectorFeature`s.
        dim: int. Width of a field.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def build(self, input_shape: Any = None) -> None:
        self.kernels, self.biases = [], []
        for record in self.records:
            # So that fields start as large as embeddings, whatever the number of components.
            components = 1 if record.normalize == "l2" else record.size
            kernel = (record.name, (record.size, self.dim), small_uniform(SPREAD / math.sqrt(components)))
            self.kernels.append(self._weight("kernel", *kernel))
            self.biases.append(self._weight("bias", record.name, (2, self.dim), small_uniform()))  # b, m
        self.built = True

    def _weight(self, what: str, name: str, shape: tuple[int, ...], initializer: Any) -> keras.Variable:
        return self.add_weight(name=f"{name}_{what}", shape=shape, initializer=initializer)

    def call(
        self,
        rows: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        arrays: Mapping[str, Tensor],
        training: bool = False,
    ) -> dict[str, Tensor]:
        fields = {}
        for record, kernel, bias in zip(self.records, self.kernels, self.biases, strict=True):
            if record.name not in arrays:  # no column of these events
                continue
            x = tf.cast(arrays[record.name], self.compute_dtype)  # (b, size)
            is_missing = tf.cast(arrays[record.missing_key], self.compute_dtype)[:, tf.newaxis]
            fields[record.name] = tf.matmul(x, kernel) + bias[0] + is_missing * bias[1]  # (b, D)
        return fields
