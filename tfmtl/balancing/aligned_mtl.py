"""Aligned-MTL: make the gradients orthogonal and equally long, with the smallest change."""

import keras
import tensorflow as tf

from tfmtl.balancing._gramian import count, unit_rows
from tfmtl.balancing.gradient_aggregator import GradientAggregator
from tfmtl.core.types import Tensor

_RANK_TOLERANCE = 1.2e-7  # what float32 products tell from 0, by the largest eigenvalue and task
_NEWTON_STEPS = 12  # enough for any matrix in float64
_SMALLEST_NORM = 1e-14  # by the largest


@keras.saving.register_keras_serializable(package="tfmtl")
class AlignedMTL(GradientAggregator):
    """Replaces the gradients by the nearest set of orthogonal ones of one norm, and adds these up.

    With the Gramian `G = V diag(l) V'`, the weights are `w = sqrt(l_min) V diag(l)^(-1/2) V' 1`. The aligned matrix has
    the condition number 1 and the norm of the least stable direction, `sqrt(l_min)`.

    How many eigenvalues are 0 is judged on the gradients' cosines, so that a long gradient does not hide short ones:
    as many as those of the cosines at or below `1.2e-7 n` times the largest, and one for each gradient that is 0. They
    are left out, and `l_min` is the least of the others. A gradient shorter than 1e-14 of the longest counts as so
    long. Solved by Newton's iteration for the polar decomposition, in which long gradients cost short ones no digits.

    Scale: orthogonal gradients of one norm give the plain sum of the losses; all others a shorter step.

    Args:
        **kwargs: Passed to `keras.Operation` (`name`).

    Reference:
        Senushkin et al. 2023, https://arxiv.org/abs/2305.19000, eq. 13-14 and algorithm 1, all tasks of importance 1.
        Higham 1986, "Computing the polar decomposition - with applications", for the iteration.
    """

    def _from_gramian(self, gramian: Tensor, present: Tensor) -> Tensor:
        norms, cosines = unit_rows(gramian)
        norms = tf.math.divide_no_nan(norms, tf.reduce_max(norms))
        counted = norms > 0.0
        both = tf.logical_and(counted[:, None], counted[None, :])
        cosines = tf.where(both, cosines, tf.eye(cosines.shape[0], dtype=tf.float64))
        values, vectors = tf.linalg.eigh(cosines)
        independent = values > _RANK_TOLERANCE * count(present) * values[-1]
        # A gradient that is 0 stands beside as a longer one than any, which leaves the others' least value alone.
        norms = tf.where(counted, tf.maximum(norms, _SMALLEST_NORM), float(cosines.shape[0]))
        # A gradient that is 0 stands beside as a longer one than any, which leaves the others' least value alone.
        norms = tf.where(counted, tf.maximum(norms, _SMALLEST_NORM), float(cosines.shape[0]))
        inverse_root = _inverse_root(values, tf.transpose(vectors), independent, norms)
        weights = tf.reduce_sum(inverse_root, axis=1) / tf.linalg.eigvalsh(inverse_root)[-1]
        return tf.where(counted, weights, tf.zeros_like(weights))


def _inverse_root(values: Tensor, vectors: Tensor, independent: Tensor, norms: Tensor) -> Tensor:
    """The pseudo-inverse of the Gramian's square root, `(T, T)`.

    With `A' A = G`, `G^(-1/2) = A^-1 U`, where `U` is the orthogonal factor of `A`'s polar decomposition, which
    Newton's iteration finds. Inverses of a matrix whose columns are of very different size lose nothing, where an
    eigenvalue decomposition of `G` would lose the short gradients beside a long one.

    Args:
        values: eigenvalues of the cosines, `(T,)`.
        vectors: their eigenvectors, one per row.
        independent: bool `(T,)`, which eigenvalues are not 0.
        norms: of the gradients, positive.
    """
    kept = independent[:, None]
    # Instead of the rows of A that are 0, rows that A maps to 0: they make it invertible and change nothing else.
    null = tf.where(kept, tf.zeros_like(vectors), tf.math.l2_normalize(vectors / norms, axis=1))
    matrix = tf.where(kept, tf.sqrt(tf.maximum(values, 0.0))[:, None] * vectors * norms, null)
    inverse = tf.linalg.inv(matrix)
    polar, polar_inverse = matrix, inverse
    for _ in range(_NEWTON_STEPS):
        scale = tf.sqrt(tf.norm(polar_inverse) / tf.norm(polar))
        polar = (scale * polar + tf.transpose(polar_inverse) / scale) / 2.0
        polar_inverse = tf.linalg.inv(polar)
    products = tf.matmul(null, null, transpose_b=True) + tf.linalg.diag(tf.cast(independent, tf.float64))
    onto_range = tf.eye(norms.shape[0], dtype=tf.float64) - tf.matmul(null, tf.linalg.solve(products, null), True)
    found = tf.matmul(tf.matmul(onto_range, tf.matmul(inverse, polar)), onto_range)
    return (found + tf.transpose(found)) / 2.0
