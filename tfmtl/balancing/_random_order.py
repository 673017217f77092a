"""Random numbers whose sequence resumes with a saved training."""

import tensorflow as tf

from tfmtl.core.types import Tensor


def next_seed(seed: int, step: object) -> Tensor:
    """A seed of stateless random operations for this step, int64 `(2,)`; counts the step."""
    now = step.value + tf.constant(0, tf.int64)  # type: ignore[attr-defined]
    step.assign(now + 1)  # type: ignore[attr-defined]
    return tf.stack([tf.constant(seed, tf.int64), now])


def random_orders(num_tasks: int, seed: Tensor) -> Tensor:
    """A random order of all tasks for each task, int32 `(T, T)`: row i is the order in which i meets the others."""
    return tf.argsort(tf.random.stateless_uniform((num_tasks, num_tasks), seed), axis=-1)
