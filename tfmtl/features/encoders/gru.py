"""A recurrent network over a list."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.features.encoders.encoder import Encoder


class GruEncoder(Encoder):
    """The last state of a gated recurrent unit of D, and a dense layer.

    Reference:
        Cho et al. 2014, https://arxiv.org/abs/1406.1078, section 2.3, as `keras.layers.GRU` computes it.
    """

    def build(self, input_shape: Any) -> None:
        # The kernel of the graphics library can neither be compiled by XLA nor differentiated twice.
        self.unit = keras.layers.GRU(self.dim, use_cudnn=False, dtype=self.dtype_policy, name="unit")
        self.unit.build((None, *input_shape[1:]))
        self.projection = self.small_dense(self.dim, "projection")
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor) -> Tensor:
        return self.projection(self.unit(inputs, mask=tf.cast(mask, tf.bool)))
