"""The interior-point method that solves the small quadratic problems of the gradient aggregators."""

import tensorflow as tf

from tfmtl.core.types import Tensor

MAX_ITERATIONS = 40
_PRODUCT_TOLERANCE = 1e-12
_BARRIER_TOLERANCE = 1e-9
_RESIDUAL_TOLERANCE = 1e-9
_TO_BOUNDARY = 0.99
_JITTER = 1e-10  # of the Newton matrix alone: slows the last digits down, does not move the solution


def nonnegative_minimum(hessian: Tensor, linear: Tensor, barrier: float = 0.0) -> Tensor:
    """Minimizes `x' H x / 2 - b' x - barrier * sum(log x)` over `x >= 0`, for K problems at once.

    Mehrotra's predictor and corrector (1992), from x = z = 1. Iterations end when the mean of `x * z` is at most 1e-12
    for every problem (with a barrier: when no product is further than 1e-9 from it), which takes 6 to 14 on matrices of
    every rank with ones on the diagonal, and after 40 in any case.

    Args:
        hessian: float64 `(K, T, T)`, positive semidefinite, diagonal of order 1.
        linear: float64 `(K, T)`, of order 1.
        barrier: float. 0 is the plain problem; 1 solves `x * (H x - b) = 1`. Defaults to `0.0`.

    Returns:
        float64 `(K, T)`, positive.
    """
    size = linear.shape[-1]
    linear = linear[..., None]  # columns throughout: the loop is bound by its number of operations
    diagonal = tf.linalg.diag_part(hessian) + _JITTER

    def split(both: Tensor) -> tuple[Tensor, Tensor]:
        return both[:, :size], both[:, size:]

    def unsolved(both: Tensor, slope: Tensor) -> Tensor:
        """Which problems need another iteration, bool `(K, 1, 1)`."""
        x, z = split(both)
        if barrier == 0.0:
            apart = tf.reduce_mean(x * z, axis=1, keepdims=True) > _PRODUCT_TOLERANCE
        else:
            apart = tf.reduce_max(tf.abs(x * z - barrier), axis=1, keepdims=True) > _BARRIER_TOLERANCE
        residual = tf.reduce_max(tf.abs(slope - z) / (1.0 + x), axis=1, keepdims=True)
        return tf.logical_or(apart, residual > _RESIDUAL_TOLERANCE)

    def far(iteration: Tensor, both: Tensor, slope: Tensor, open_: Tensor) -> Tensor:
        return tf.logical_and(iteration < MAX_ITERATIONS, tf.reduce_any(open_))

    def improve(iteration: Tensor, both: Tensor, slope: Tensor, open_: Tensor) -> tuple[Tensor, ...]:
        x, z = split(both)
        ratio = z / x
        inverse = tf.linalg.inv(tf.linalg.set_diag(hessian, diagonal + ratio[..., 0]))

        def direction(product: Tensor) -> Tensor:
            """The Newton step of x and z towards `x * z = product`."""
            wanted = product / x
            dx = tf.matmul(inverse, wanted - slope)
            return tf.concat([dx, wanted - z - ratio * dx], axis=1)

        target = barrier * tf.ones_like(x)
        if barrier == 0.0:
            change = direction(target)
            ahead = both + change / tf.maximum(_overshoot(both, change), 1.0)
            mean = tf.reduce_mean(x * z, axis=1, keepdims=True)
            predicted = tf.reduce_mean(ahead[:, :size] * ahead[:, size:], axis=1, keepdims=True)
            target = mean * (predicted / mean) ** 3 - change[:, :size] * change[:, size:]
        change = direction(target)
        step = _TO_BOUNDARY / tf.maximum(_overshoot(both, change), _TO_BOUNDARY)
        both = tf.where(open_, both + step * change, both)
        slope = tf.matmul(hessian, both[:, :size]) - linear
        return iteration + 1, both, slope, unsolved(both, slope)

    both = tf.ones_like(tf.concat([linear, linear], axis=1))
    slope = tf.matmul(hessian, both[:, :size]) - linear
    found = tf.while_loop(far, improve, (0, both, slope, unsolved(both, slope)))[1]
    return found[:, :size, 0]


def _overshoot(values: Tensor, change: Tensor) -> Tensor:
    """The inverse of the share of `change` that `values` can follow until one is 0, `(K, 1, 1)`."""
    return tf.reduce_max(-change / values, axis=1, keepdims=True)
