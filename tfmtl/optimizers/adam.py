"""Adam for weights that every step reads whole."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.replicas import is_single_replica
from tfmtl.core.types import Tensor


@keras.saving.register_keras_serializable(package="tfmtl")
class Adam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` that computes once a step what is the same for all weights.

    That is the learning rate with its bias correction, which Keras computes anew for every weight: about 25 operations
    a weight of the step's graph, to trace and to run. Weights, arguments and state are those of Keras's, bit for bit.

    Args:
        learning_rate: float, schedule or callable. Defaults to `0.001`.
        beta_1: float in [0, 1). Share of the mean gradient that is kept. Defaults to `0.9`.
        beta_2: float in [0, 1). Share of the mean squared gradient that is kept. Defaults to `0.999`.
        epsilon: float. Defaults to `1e-07`.
        **kwargs: Passed to `keras.optimizers.Adam`; with `amsgrad` the steps are computed by Keras.

    Example:

    >>> import keras, tfmtl
    >>> weight = keras.Variable([1.0, 2.0])
    >>> tfmtl.optimizers.Adam(learning_rate=0.1).apply([keras.ops.convert_to_tensor([0.5, -0.5])], [weight])
    >>> [round(value, 4) for value in weight.numpy().tolist()]
    [0.9, 2.1]

    Reference:
        Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, in the order of computation of the end of section 2.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self._rates: dict[Any, Tensor] = {}  # by type of the weights, of the step that is being taken

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Takes one step, as Keras's does."""
        self._rates.clear()
        try:
            super().apply(grads, trainable_variables)
        finally:
            self._rates.clear()

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        # The exchange of one replica with itself costs operations, and a gradient that keeps the step's graph for good.
        return list(grads_and_vars) if is_single_replica() else super()._all_reduce_sum_gradients(grads_and_vars)

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Any) -> None:
        """Moves one weight."""
        if self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        if variable.dtype not in self._rates:
            self._rates[variable.dtype] = self._corrected(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        mean, square = self._momentums[index], self._velocities[index]
        # Keras's own functions: they know gradients that are `tf.IndexedSlices`.
        self.assign_add(mean, ops.subtract(gradient, mean) * (1 - self.beta_1))
        self.assign_add(square, ops.subtract(ops.square(gradient), square) * (1 - self.beta_2))
        change = mean * self._rates[variable.dtype] / (ops.sqrt(square) + self.epsilon)
        self.assign_sub(variable, change)

    def _corrected(self, learning_rate: Any, dtype: Any) -> Tensor:
        """The learning rate times what makes up for moments that began at zero."""
        step = ops.cast(self.iterations + 1, dtype)
        first, second = (ops.power(ops.cast(beta, dtype), step) for beta in (self.beta_1, self.beta_2))
        return ops.cast(learning_rate, dtype) * ops.sqrt(1 - second) / (1 - first)
