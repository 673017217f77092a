"""Scaled logarithms: a number has one value, wherever in a batch it stands."""

import numpy as np
import tensorflow as tf

from tfmtl.features.numeric import log_distance


def test_a_number_at_the_mean_is_at_the_mean_wherever_it_stands() -> None:
    numbers = np.random.default_rng(0).lognormal(3.0, 4.0, 400).astype(np.float32).astype(np.float64)
    for number in numbers:
        mean = float(np.log1p(number))
        for length in (1, 4, 7):
            assert not np.any(log_distance(tf.fill([length], tf.constant(number, tf.float64)), mean).numpy())


def test_it_is_the_distance_of_the_logarithm() -> None:
    numbers = np.array([-np.inf, -50.0, -1e-3, 0.0, 1e-30, 0.5, 3e38, np.inf])
    expected = np.sign(numbers) * np.log1p(np.abs(numbers)) - 0.25
    np.testing.assert_allclose(log_distance(tf.constant(numbers), 0.25).numpy(), expected, rtol=1e-14)
    near = np.log1p(50.0) * (1.0 + 1e-12)  # what is not rounding stays
    assert log_distance(tf.constant(50.0, tf.float64), near).numpy() != 0.0
