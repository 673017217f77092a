"""The geometric mean of the losses instead of their sum."""

import keras
import tensorflow as tf

from tfmtl.balancing.balancer import Balancer
from tfmtl.core.types import Tensor

_SMALLEST = 1e-8


@keras.saving.register_keras_serializable(package="tfmtl")
class GeometricMean(Balancer):
    """Minimizes `(L_1 L_2 ... L_n)^(1/n)` over the n tasks of the batch, whatever the losses' units.

    Its gradient is that of the sum with the weights `w_t = M / (n L_t)`, `M` being the geometric mean. Losses have to
    be positive; below 1e-8 they count as 1e-8.

    Scale: equal losses give the mean of the losses, a plain sum divided by n.

    Args:
        **kwargs: Passed to `keras.Operation` (`name`).

    Reference:
        Chennupati et al. 2019 (MultiNet++), https://arxiv.org/abs/1904.08492, the geometric loss strategy.
    """

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        logarithms = tf.where(present, tf.math.log(tf.maximum(losses, _SMALLEST)), 0.0)
        tasks = tf.maximum(tf.reduce_sum(tf.cast(present, tf.float32)), 1.0)
        return tf.exp(tf.reduce_sum(logarithms) / tasks - logarithms) / tasks
