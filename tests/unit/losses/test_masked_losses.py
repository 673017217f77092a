"""Both masked losses against NumPy: values, gradients, missing labels, extreme values."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.losses import masked_binary_cross_entropy, masked_squared_error

NAN = math.nan
LOSSES = [masked_binary_cross_entropy, masked_squared_error]


def reference(loss, labels, predictions, weights=None) -> tuple[float, np.ndarray]:
    """Value and gradient in float64, over the present rows only; log(1 + e^z) by logaddexp."""
    labels, z = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    weights = np.ones_like(labels) if weights is None else np.asarray(weights, np.float64)
    kept = ~np.isnan(labels) & (weights != 0)
    gradient = np.zeros_like(labels)
    if not kept.any():
        return 0.0, gradient
    y, z, w = labels[kept], z[kept], weights[kept]
    if loss is masked_squared_error:
        losses, slopes = (y - z) ** 2, 2 * (z - y)
    else:
        losses = y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)
        slopes = np.exp(-np.logaddexp(0, -z)) - y
    gradient[kept] = w * slopes / w.sum()
    return float(np.sum(w * losses) / w.sum()), gradient


def value_and_gradient(loss, labels, predictions, weights=None, dtype: str = "float32"):
    predictions = tf.Variable(predictions, dtype=dtype)
    with tf.GradientTape() as tape:
        value = loss(tf.constant(labels, tf.float32), predictions, weights)
    gradient = tape.gradient(value, predictions)
    assert gradient.dtype == predictions.dtype
    return value, tf.cast(gradient, tf.float64).numpy()


def assert_equals_reference(loss, labels, predictions, weights=None) -> None:
    value, gradient = value_and_gradient(loss, labels, predictions, weights)
    expected_value, expected_gradient = reference(loss, labels, predictions, weights)
    np.testing.assert_allclose(float(value), expected_value, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("missing_rate", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_numpy(loss, missing_rate: float, weighted: bool) -> None:
    generator = np.random.default_rng(0)
    predictions = generator.normal(0, 4, 257).astype(np.float32)
    labels = (generator.random(257) < 0.4).astype(np.float32)
    labels[generator.random(257) < missing_rate] = NAN
    weights = generator.integers(0, 5, 257).astype(np.float32) if weighted else None
    assert_equals_reference(loss, labels, predictions, weights)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_missing_label_is_an_absent_row(loss) -> None:
    value, gradient = value_and_gradient(loss, [1.0, NAN, 0.0], [0.5, 3.0, -2.0])
    without, gradient_without = value_and_gradient(loss, [1.0, 0.0], [0.5, -2.0])
    assert float(value) == float(without)
    np.testing.assert_array_equal(gradient, np.insert(gradient_without, 1, 0.0))
    imputed, _ = value_and_gradient(loss, [1.0, 0.0, 0.0], [0.5, 3.0, -2.0])
    assert abs(float(imputed) - float(value)) > 0.1


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("jit_compile", [None, False, True], ids=["eager", "graph", "xla"])
@pytest.mark.parametrize(
    ("labels", "weights"),
    [([NAN, NAN, NAN], None), ([NAN, NAN, NAN], [1.0, 2.0, 3.0]), ([1.0, NAN, 0.0], [0.0, 5.0, 0.0])],
)
def test_no_label_at_all_is_exactly_zero(loss, jit_compile: bool | None, labels, weights) -> None:
    def run(predictions):
        return value_and_gradient_in_graph(loss, labels, predictions, weights)

    if jit_compile is not None:
        run = tf.function(run, jit_compile=jit_compile)
    value, gradient = run(tf.constant([1e4, NAN, -1e4]))
    assert float(value) == 0.0
    np.testing.assert_array_equal(gradient.numpy(), [0.0, 0.0, 0.0])


def value_and_gradient_in_graph(loss, labels, predictions, weights):
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        value = loss(tf.constant(labels), predictions, weights)
    return value, tape.gradient(value, predictions)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", [NAN, math.inf, -math.inf])
def test_what_a_missing_label_hides_reaches_no_gradient(loss, hidden: float) -> None:
    """Also through the weights of the layer below, and from the weight of the row."""
    labels, clean = [1.0, NAN, 0.0], [0.5, 0.25, -2.0]
    expected = value_and_gradient(loss, labels, clean)
    for weights in (None, [1.0, hidden, 1.0]):
        value, gradient = value_and_gradient(loss, labels, [0.5, hidden, -2.0], weights)
        assert float(value) == float(expected[0])
        np.testing.assert_array_equal(gradient, expected[1])
    kernel = tf.Variable([[0.3], [-0.2]])
    with tf.GradientTape() as tape:
        scores = tf.squeeze(tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) @ kernel, axis=1)
        value = loss(tf.constant(labels), scores)
    gradient = tape.gradient(value, kernel).numpy()
    assert np.all(np.isfinite(gradient))
    assert np.all(gradient != 0)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_nan_prediction_of_a_known_label_shows(loss) -> None:
    value, _ = value_and_gradient(loss, [1.0, 0.0], [NAN, 0.0])
    assert math.isnan(value)


@pytest.mark.parametrize("logit", [1e4, -1e4, 88.0, -88.0, 0.0, 1e-8])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_cross_entropy_of_extreme_logits(logit: float, label: float) -> None:
    """Finite and right, with its gradient: at 0 too, where max and abs have no derivative of their own."""
    assert_equals_reference(masked_binary_cross_entropy, [label, NAN], [logit, 1.0])


def test_squared_error_of_extreme_predictions() -> None:
    assert_equals_reference(masked_squared_error, [0.0, NAN, 1.0], [1e4, 1e4, -1e4])


def test_cross_entropy_in_closed_form() -> None:
    assert float(masked_binary_cross_entropy([1.0, 0.0], [0.0, 0.0])) == pytest.approx(math.log(2), rel=1e-6)
    wrong = masked_binary_cross_entropy([0.0], [1e4])
    assert float(wrong) == 1e4
    assert float(masked_squared_error([1.0, NAN, 5.0], [3.0, 0.0, 5.0])) == 2.0


@pytest.mark.parametrize("loss", LOSSES)
def test_bfloat16_is_computed_in_float32(loss) -> None:
    """A bfloat16 mean over 2,000 rows would count to 256 at most."""
    generator = np.random.default_rng(1)
    labels = (generator.random(2000) < 0.5).astype(np.float32)
    labels[::3] = NAN
    predictions = tf.cast(generator.normal(size=2000), tf.bfloat16)
    as_read = tf.cast(predictions, tf.float64).numpy()
    value, gradient = value_and_gradient(loss, labels, predictions, dtype="bfloat16")
    expected_value, expected_gradient = reference(loss, labels, as_read)
    assert value.dtype == tf.float32
    np.testing.assert_allclose(float(value), expected_value, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=2**-8, atol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_whole_weights_repeat_rows(loss) -> None:
    labels, predictions, times = np.float32([1, 0, 1]), np.float32([0.3, 1.2, -0.7]), np.array([1, 3, 2])
    repeated = loss(np.repeat(labels, times), np.repeat(predictions, times))
    assert float(loss(labels, predictions, times)) == pytest.approx(float(repeated), rel=1e-6)
    assert float(loss(labels, predictions)) != pytest.approx(float(repeated), rel=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_graph_with_unknown_batch_equals_eager(loss, jit_compile: bool) -> None:
    vector = tf.TensorSpec([None], tf.float32)
    compiled = tf.function(loss, input_signature=[vector, vector, vector], jit_compile=jit_compile)
    for size in (1, 5):
        labels = np.float32([1.0, NAN, 0.0, 0.0, 1.0][:size])
        predictions = np.linspace(-2, 3, size, dtype=np.float32)
        weights = np.linspace(1, 2, size, dtype=np.float32)
        expected = float(loss(labels, predictions, weights))
        assert float(compiled(labels, predictions, weights)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "argument"), [(masked_binary_cross_entropy, "logits"), (masked_squared_error, "predictions")]
)
def test_errors(loss, argument: str) -> None:
    owner = loss.__name__
    cases = [
        (
            (tf.zeros(3), tf.zeros((3, 1))),
            f"{owner}: `{argument}.shape` must be (B,). Received: {argument}.shape=(3, 1). "
            f"Pass the column of one task, e.g. {argument}[:, 0].",
        ),
        ((tf.zeros((3, 1)), tf.zeros(3)), f"{owner}: `labels.shape` must be (B,). Received: labels.shape=(3, 1)."),
        (
            (tf.zeros(3), tf.zeros(1)),
            f"{owner}: `{argument}.shape` must be (3,), the shape of `labels`. Received: {argument}.shape=(1,). "
            "Take both from the same batch.",
        ),
        ((tf.zeros(3), tf.zeros(3), tf.zeros(2)), f"{owner}: `weights.shape` must be (3,), the shape of `labels`."),
        ((tf.zeros(3), tf.zeros(3), 2.0), f"{owner}: `weights.shape` must be (B,). Received: weights.shape=()."),
    ]
    for arguments, text in cases:
        with pytest.raises(ValueError) as caught:
            loss(*arguments)
        assert text in str(caught.value)
