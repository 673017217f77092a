"""A small Transformer over a list."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.initializers import small_uniform
from tfmtl.core.masking import masked_mean
from tfmtl.core.types import Tensor
from tfmtl.features.encoders.encoder import Encoder

_BLOCKS = 2
_WIDER = 2  # the hidden layer of a block


class TransformerEncoder(Encoder):
    """Two blocks of self-attention over the elements and their places, their mean, and a dense layer.

    Blocks normalize before and not after: it needs no warm-up. As many as 4 heads, where W can be cut so.

    Reference:
        Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3, with learned places (their table 3, row E);
        Xiong et al. 2020, https://arxiv.org/abs/2002.04745, figure 1b (normalization).
    """

    def build(self, input_shape: Any) -> None:
        _, length, width = (int(size or 0) for size in input_shape)
        self.places = self.add_weight(name="places", shape=(length, width), initializer=small_uniform())
        heads = next(count for count in (4, 2, 1) if width % count == 0)
        self.blocks = [
            _Block(heads, width, dtype=self.dtype_policy, name=f"block_{number}") for number in range(_BLOCKS)
        ]
        for block in self.blocks:
            block.build(input_shape)
        self.norm = keras.layers.LayerNormalization(dtype=self.dtype_policy, name="norm")
        self.norm.build((None, length, width))
        self.projection = self.small_dense(width, "projection")
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor) -> Tensor:
        x = inputs + tf.cast(self.places, inputs.dtype)
        for block in self.blocks:
            x = block(x, mask)
        return self.projection(masked_mean(self.norm(x), mask > 0))


class _Block(keras.layers.Layer):
    def __init__(self, heads: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.width = width

    def build(self, input_shape: Any) -> None:
        policy = {"dtype": self.dtype_policy}
        self.norms = [keras.layers.LayerNormalization(**policy, name=f"norm_{number}") for number in range(2)]
        self.attention = keras.layers.MultiHeadAttention(
            self.heads, self.width // self.heads, **policy, name="attention"
        )
        self.hidden = keras.layers.Dense(_WIDER * self.width, "gelu", **policy, name="hidden")
        self.output_layer = keras.layers.Dense(self.width, **policy, name="output")
        shape = (None, *input_shape[1:])
        self.attention.build(shape, shape)
        for each in (*self.norms, self.hidden):
            each.build(shape)
        self.output_layer.build((*shape[:-1], _WIDER * self.width))
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor) -> Tensor:
        x = self.norms[0](inputs)
        inputs += self.attention(x, x, attention_mask=tf.cast(mask, tf.bool)[:, tf.newaxis])
        return inputs + self.output_layer(self.hidden(self.norms[1](inputs)))
