"""Loss, metric and exact errors against each other and by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmtl.operators import RelativeL2, RelativeL2Loss, frobenius_error, relative_l2_errors

TRUTH = np.array([[3.0, 4.0, 0.0], [0.0, 0.1, 0.0]])
GUESS = np.array([[3.0, 3.0, 0.0], [0.0, 0.1, 0.3]])


def test_by_hand() -> None:
    np.testing.assert_allclose(relative_l2_errors(TRUTH, GUESS), [0.2, 3.0])
    np.testing.assert_allclose(relative_l2_errors(TRUTH, GUESS, [[1, 1, 1], [1, 1, 0]]), [0.2, 0.0])
    assert frobenius_error(TRUTH, GUESS) == pytest.approx(np.sqrt(1.09 / 25.01))
    assert np.isnan(relative_l2_errors(0 * TRUTH, GUESS)).all()


def test_loss_and_metric_are_the_mean_of_the_exact_errors() -> None:
    generator = np.random.default_rng(0)
    truth, guess = generator.normal(size=(2, 6, 5, 2))
    expected = relative_l2_errors(truth, guess)
    np.testing.assert_allclose(RelativeL2Loss()(truth, guess), expected.mean(), rtol=1e-5)
    metric = RelativeL2()
    for rows in (slice(0, 4), slice(4, 6)):
        metric.update_state(truth[rows], guess[rows])
    np.testing.assert_allclose(metric.result(), expected.mean(), rtol=1e-6)


def test_a_right_prediction_has_a_finite_gradient_and_a_zero_field_a_finite_loss() -> None:
    guess = tf.Variable(np.float32(TRUTH))
    with tf.GradientTape() as tape:
        loss = RelativeL2Loss()(np.float32(TRUTH), guess)
    assert float(loss) < 1e-6
    assert np.all(np.isfinite(tape.gradient(loss, guess)))
    assert np.isfinite(RelativeL2Loss()(np.zeros((1, 3)), np.ones((1, 3))))


def test_small_errors_need_float64() -> None:
    truth = np.full((1, 100_000), 1000.0)
    guess = truth * (1.0 + 1e-6)
    metric = RelativeL2()
    metric.update_state(truth, guess)
    np.testing.assert_allclose(metric.result(), 1e-6, rtol=1e-3)


def test_saved_by_name() -> None:
    for thing in (RelativeL2Loss(), RelativeL2()):
        restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(thing))
        assert type(restored) is type(thing)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`prediction` must have the shape of the truth, \(2, 3\)"):
        relative_l2_errors(TRUTH, GUESS[:1])
    with pytest.raises(ValueError, match=r"`mask` must be \(2, 3\), one value per point"):
        relative_l2_errors(TRUTH, GUESS, [1, 1, 1])
