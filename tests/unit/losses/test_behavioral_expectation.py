"""The penalty on rising probabilities: values, when it is zero, its gradient, and what it refuses."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.losses import behavioral_expectation

CHAIN, TREE = (None, 0, 1), (2, None, 1)


def reference(probabilities, parents, weights=None) -> tuple[float, np.ndarray]:
    """Value and gradient in float64, one loop for every index."""
    probabilities = np.asarray(probabilities, np.float64)
    weights = np.ones(len(probabilities)) if weights is None else np.asarray(weights, np.float64)
    value, gradient = 0.0, np.zeros_like(probabilities)
    for row, weight in enumerate(weights / weights.sum()):
        for task, parent in enumerate(parents):
            if parent is not None and probabilities[row, task] > probabilities[row, parent]:
                value += weight * (probabilities[row, task] - probabilities[row, parent])
                gradient[row, task] += weight
                gradient[row, parent] -= weight
    return value, gradient


def value_and_gradient(probabilities, parents, weights=None):
    variable = tf.Variable(probabilities, dtype="float32")
    with tf.GradientTape() as tape:
        value = behavioral_expectation(variable, parents, weights)
    return value, tf.convert_to_tensor(tape.gradient(value, variable)).numpy()


@pytest.mark.parametrize("parents", [CHAIN, TREE, (None, 0, 0), (1, None, None)])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_numpy(parents, weighted: bool) -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random((50, 3)).astype("float32")
    weights = generator.integers(0, 4, 50).astype("float32") if weighted else None
    value, gradient = value_and_gradient(probabilities, parents, weights)
    expected_value, expected_gradient = reference(probabilities, parents, weights)
    np.testing.assert_allclose(float(value), expected_value, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-8)


def test_is_zero_exactly_where_the_sequence_is_monotone() -> None:
    monotone = np.float32([[0.9, 0.5, 0.1], [0.3, 0.3, 0.3], [1.0, 0.0, 0.0]])
    value, gradient = value_and_gradient(monotone, CHAIN)
    assert float(value) == 0.0
    np.testing.assert_array_equal(gradient, 0.0)
    for row in range(3):
        for task in (1, 2):
            rising = monotone.copy()
            rising[row, task] = rising[row, task - 1] + 0.01
            assert float(behavioral_expectation(rising, CHAIN)) > 0.0


def test_tasks_without_parents_have_no_order() -> None:
    value = behavioral_expectation(np.float32([[0.1, 0.9]]), (None, None))
    assert float(value) == 0.0
    assert value.dtype == tf.float32


def test_a_row_of_weight_zero_is_absent() -> None:
    rows = np.float32([[0.2, 0.5, 0.1], [np.nan, 0.1, 0.9]])
    value, gradient = value_and_gradient(rows, CHAIN, np.float32([2.0, 0.0]))
    assert float(value) == pytest.approx(0.3, rel=1e-6)
    np.testing.assert_array_equal(gradient[1], 0.0)
    value, gradient = value_and_gradient(rows, CHAIN, np.zeros(2, "float32"))
    assert float(value) == 0.0
    np.testing.assert_array_equal(gradient, 0.0)
    assert np.isnan(float(behavioral_expectation(rows, CHAIN)))


def test_bfloat16_is_computed_in_float32() -> None:
    rows = tf.cast(np.random.default_rng(1).random((2000, 3)), "bfloat16")
    value = behavioral_expectation(rows, CHAIN)
    assert value.dtype == tf.float32
    np.testing.assert_allclose(float(value), reference(tf.cast(rows, "float64").numpy(), CHAIN)[0], rtol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graph_with_unknown_batch_equals_eager(jit_compile: bool) -> None:
    compiled = tf.function(
        lambda rows, weights: behavioral_expectation(rows, TREE, weights),
        input_signature=[tf.TensorSpec([None, 3], tf.float32), tf.TensorSpec([None], tf.float32)],
        jit_compile=jit_compile,
    )
    for size in (1, 5):
        rows = np.random.default_rng(size).random((size, 3)).astype("float32")
        weights = np.linspace(1, 2, size, dtype="float32")
        expected = float(behavioral_expectation(rows, TREE, weights))
        assert float(compiled(rows, weights)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((np.zeros(3), CHAIN), "`probabilities.shape` must be (B, T) with all but the first known"),
        ((np.zeros((2, 4)), CHAIN), "`probabilities.shape` must have size 3 on axis 1. Received"),
        ((np.zeros((2, 3)), (1, 0, None)), "`parents` must form no cycle."),
        ((np.zeros((2, 3)), CHAIN, np.ones((2, 1))), "`weights.shape` must be (B,), one weight for each row"),
        ((np.zeros((2, 3)), CHAIN, np.ones(1)), "`weights.shape` must be (B,), one weight for each row"),
    ],
)
def test_errors(arguments, text: str) -> None:
    with pytest.raises(ValueError, match=f"^behavioral_expectation: {re.escape(text)}"):
        behavioral_expectation(*arguments)
