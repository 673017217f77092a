"""A list as one long vector: every place has weights of its own."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.features.encoders.encoder import Encoder

_WIDER = 2  # the hidden layer, in multiples of D


class FlatEncoder(Encoder):
    """Two dense layers over all elements side by side."""

    def build(self, input_shape: Any) -> None:
        size = int(input_shape[1]) * int(input_shape[2])
        self.hidden = keras.layers.Dense(_WIDER * self.dim, "gelu", dtype=self.dtype_policy, name="hidden")
        self.hidden.build((None, size))
        self.projection = self.small_dense(_WIDER * self.dim, "projection")
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor) -> Tensor:
        flat = tf.reshape(inputs, (-1, int(inputs.shape[1]) * int(inputs.shape[2])))
        return self.projection(self.hidden(flat))
