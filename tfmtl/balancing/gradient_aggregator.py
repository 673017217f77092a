"""The base class of gradient aggregators; they read the tasks' gradients only through the Gramian."""

from abc import abstractmethod
from typing import ClassVar

import tensorflow as tf

from tfmtl.balancing.balancer import Balancer
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_shape


class GradientAggregator(Balancer):
    """Combines the tasks' gradients, with weights that follow from their inner products.

    Every such method gives a linear combination of the gradients whose coefficients follow from their products, so
    the number of parameters never enters. The solvers run in float64. A Gramian with a NaN or an infinity gives
    weights that are NaN, so that it is noticed.

    Shapes: T tasks, P parameters.

    Args:
        **kwargs: Passed to `keras.Operation` (`name`).
    """

    uses_gramian: ClassVar[bool] = True

    def aggregate(self, matrix: Tensor) -> Tensor:
        """Combines gradients given as a matrix, for use without a training step; moves the state on.

        Args:
            matrix: float `(T, P)`, one gradient per row.

        Returns:
            float `(P,)` of the type of `matrix`: `weights(M M^T) M`.

        Raises:
            ValueError: `matrix` has not two axes of known size.
        """
        matrix = tf.convert_to_tensor(matrix)
        check_shape(type(self).__name__, "matrix", (None, *matrix.shape), "1, T, P")
        self.build(int(matrix.shape[0]))
        rows = tf.cast(matrix, tf.float64)
        gramian = tf.matmul(rows, rows, transpose_b=True)
        weights = self.weights(tf.zeros(matrix.shape[0]), gramian)
        return tf.cast(tf.linalg.matvec(rows, tf.cast(weights, tf.float64), transpose_a=True), matrix.dtype)

    def _weights(self, losses: Tensor, gramian: Tensor, present: Tensor) -> Tensor:
        finite = tf.reduce_all(tf.math.is_finite(gramian))
        # A linear solver may raise on NaN, which would hide where it came from.
        weights = self._from_gramian(tf.where(finite, gramian, tf.zeros_like(gramian)), present)
        return tf.where(finite, weights, tf.constant(float("nan"), weights.dtype))

    @abstractmethod
    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        """float64 `(T,)` from the float64 `(T, T)` Gramian, finite, zero in absent rows and columns."""
