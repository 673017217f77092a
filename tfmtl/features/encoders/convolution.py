"""The strongest of short patterns, wherever they stand in a list."""

from typing import Any

import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.features.encoders.encoder import Encoder

_WIDTHS = (3, 4, 5)  # elements that a filter sees
_LEAST = -1e4  # below every response of a filter, also in 16 bits


class ConvolutionEncoder(Encoder):
    """D filters of 3, 4 and 5 elements each, the largest response of every filter, and a dense layer.

    A filter also stands half over both ends of a list, where it sees zeros.

    Reference:
        Kim 2014, https://arxiv.org/abs/1408.5882, section 2, eq. 2-4, with a dense layer instead of the classifier.
    """

    def build(self, input_shape: Any) -> None:
        width = int(input_shape[-1])
        self.kernels = [
            self.add_weight(name=f"filters_{size}", shape=(size * width, self.dim), initializer="he_uniform")
            for size in _WIDTHS
        ]
        self.biases = [self.add_weight(name=f"bias_{size}", shape=(self.dim,), initializer="zeros") for size in _WIDTHS]
        self.projection = self.small_dense(len(_WIDTHS) * self.dim, "projection")
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor) -> Tensor:
        found = []
        for size, kernel, bias in zip(_WIDTHS, self.kernels, self.biases, strict=True):
            windows, sees = (_windows(each, size) for each in (inputs, tf.cast(mask, inputs.dtype)[:, :, tf.newaxis]))
            responses = tf.nn.relu(tf.matmul(windows, kernel) + bias)  # (b, P, D)
            is_window = tf.reduce_max(sees, axis=-1, keepdims=True) > 0
            best = tf.reduce_max(tf.where(is_window, responses, tf.cast(_LEAST, responses.dtype)), axis=1)
            found.append(tf.nn.relu(best))  # of a list without elements: zero
        return self.projection(tf.concat(found, axis=-1))


def _windows(values: Tensor, size: int) -> Tensor:
    """All runs of `size` elements, those half over an end too: `(b, L, W)` -> `(b, L + size - 1, size * W)`."""
    # Padded as each place needs it, not padded and then sliced: the gradient of a slice is slow on a CPU.
    return tf.concat([tf.pad(values, [[0, 0], [size - 1 - place, place], [0, 0]]) for place in range(size)], axis=-1)
