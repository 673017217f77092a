"""Rescaling Gramians of gradients of any size, so that solvers can use them."""

import tensorflow as tf

from tfmtl.core.types import Tensor

_ZERO = 1e-290  # below every square of a float32 gradient's norm that is not zero


def unit_rows(gramian: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the gradients' norms `(T,)` and their cosines `(T, T)`; a zero gradient is orthogonal to every other."""
    square = tf.linalg.diag_part(gramian)
    norms = tf.where(square > _ZERO, tf.sqrt(tf.maximum(square, _ZERO)), tf.zeros_like(square))
    cosines = tf.math.divide_no_nan(tf.math.divide_no_nan(gramian, norms[:, None]), norms[None, :])
    cosines = tf.clip_by_value(cosines, -1.0, 1.0)
    return norms, tf.linalg.set_diag(cosines, tf.ones_like(square))


def positive_definite(matrix: Tensor, smallest: float) -> Tensor:
    """Raises the eigenvalues of a symmetric `(T, T)` matrix to at least `smallest`.

    Cosines from float32 products may have eigenvalues a little below 0, on which a Cholesky decomposition fails.
    """
    values, vectors = tf.linalg.eigh((matrix + tf.transpose(matrix)) / 2.0)
    return tf.matmul(vectors * tf.maximum(values, smallest), vectors, transpose_b=True)


def ratios(norms: Tensor) -> Tensor:
    """Returns `n_i / n_j` `(T, T)`; 1 on the diagonal, 0 where `n_j` is 0."""
    return tf.linalg.set_diag(tf.math.divide_no_nan(norms[:, None], norms[None, :]), tf.ones_like(norms))


def count(present: Tensor) -> Tensor:
    """The number of present tasks, float64, at least 1."""
    return tf.maximum(tf.reduce_sum(tf.cast(present, tf.float64)), 1.0)
