"""Masked mean and softmax: values, padding, empty rows, gradients, low precision."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.numpy_reference import softmax
from tfmtl.core.masking import masked_mean, masked_softmax

MASK = np.array([[True, True, True], [True, False, True], [False, False, True], [False, False, False]])
SCORES = np.array([[0.5, -1.0, 2.0], [1.0, 9.0, -1.0], [3.0, 4.0, 5.0], [1.0, 2.0, 3.0]], np.float32)
VALUES = np.random.default_rng(0).normal(size=(4, 3, 2)).astype("float32")


def test_mean_is_that_of_the_kept_entries() -> None:
    result = masked_mean(tf.constant(VALUES), tf.constant(MASK)).numpy()
    for row in range(3):
        np.testing.assert_allclose(result[row], np.mean(VALUES[row][MASK[row]], axis=0), rtol=1e-6)
    np.testing.assert_array_equal(result[3], 0.0)


def test_softmax_is_that_of_the_kept_entries() -> None:
    result = masked_softmax(tf.constant(SCORES), tf.constant(MASK)).numpy()
    for row in range(3):
        np.testing.assert_allclose(result[row][MASK[row]], softmax(SCORES[row][MASK[row]]), rtol=1e-6)
    np.testing.assert_array_equal(result[~MASK], 0.0)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("function", [masked_mean, masked_softmax])
def test_nothing_at_masked_positions_gets_through(function, poison: float) -> None:
    clean = VALUES if function is masked_mean else SCORES
    dirty = np.array(clean)
    dirty[~MASK] = poison
    results, gradients = [], []
    for values in (clean, dirty):
        variable = tf.Variable(values)
        with tf.GradientTape() as tape:
            result = function(variable, tf.constant(MASK))
            loss = tf.reduce_sum(tf.math.sin(result + tf.range(result.shape[-1], dtype="float32")))
        results.append(result)
        gradients.append(tape.gradient(loss, variable))
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(gradients[1], gradients[0])
    np.testing.assert_array_equal(gradients[1].numpy()[~MASK], 0.0)
    assert np.all(np.isfinite(gradients[1]))
    assert np.any(gradients[1].numpy()[MASK] != 0.0)


def test_softmax_of_extreme_scores() -> None:
    scores = tf.constant([[1e30, -1e30, 0.0], [-1e30, -1e30, -2e30]])
    result = masked_softmax(scores, tf.constant([[True, True, True], [True, True, True]])).numpy()
    np.testing.assert_array_equal(result, [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])


def test_softmax_mask_broadcasts() -> None:
    scores = tf.random.normal((4, 2, 3, 3))
    result = masked_softmax(scores, tf.constant(MASK)[:, None, None]).numpy()
    np.testing.assert_allclose(result[:3].sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(result[3], 0.0)


def test_bfloat16_input_is_counted_and_summed_exactly() -> None:
    # 1,000 ones: bfloat16 alone cannot count beyond 256.
    values, mask = tf.ones((1, 1000, 1), "bfloat16"), tf.ones((1, 1000), "bool")
    result = masked_mean(values, mask)
    assert result.dtype == tf.bfloat16
    assert float(result[0, 0]) == 1.0
    weights = masked_softmax(tf.zeros((1, 1000), "bfloat16"), mask)
    assert weights.dtype == tf.bfloat16
    # 0.001 rounded to 8 bits of mantissa is off by at most 2^-9 of itself.
    np.testing.assert_allclose(tf.cast(weights, "float32"), 0.001, rtol=2**-8)
