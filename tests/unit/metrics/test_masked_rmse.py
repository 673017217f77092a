"""MaskedRMSE against its definition and its exact counterpart."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmtl.metrics import MaskedRMSE, rmse

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.normal(20.0, 5.0, 500).astype("float32")
LABELS[GENERATOR.random(500) < 0.3] = np.nan
PREDICTIONS = GENERATOR.normal(20.0, 5.0, 500).astype("float32")
WEIGHTS = GENERATOR.integers(0, 4, 500).astype("float32")


def of(labels, predictions, weights=None) -> float:
    metric = MaskedRMSE()
    metric.update_state(labels, predictions, sample_weight=weights)
    return float(metric.result())


def test_equals_the_exact_metric() -> None:
    assert of(LABELS, PREDICTIONS) == pytest.approx(rmse(LABELS, PREDICTIONS), rel=1e-6)
    assert of([1.0, math.nan, 3.0], [2.0, 100.0, 6.0]) == pytest.approx(math.sqrt((1.0 + 9.0) / 2.0))


def test_whole_weights_repeat_rows() -> None:
    times = WEIGHTS.astype(int)
    expected = rmse(np.repeat(LABELS, times), np.repeat(PREDICTIONS, times))
    assert of(LABELS, PREDICTIONS, WEIGHTS) == pytest.approx(expected, rel=1e-6)


def test_batches_add_up_and_reset_forgets() -> None:
    metric = MaskedRMSE()
    update = tf.function(metric.update_state)
    metric.update_state([1.0], [1e6])
    metric.reset_state()
    for start in range(0, 500, 60):
        update(LABELS[start : start + 60], PREDICTIONS[start : start + 60])
    assert float(metric.result()) == pytest.approx(rmse(LABELS, PREDICTIONS), rel=1e-6)


def test_a_missing_label_hides_any_prediction() -> None:
    assert of([1.0, math.nan], [2.0, math.nan]) == 1.0
    assert of([1.0, math.nan], [2.0, 5.0], [1.0, 7.0]) == 1.0
    assert of([math.nan], [2.0]) == 0.0, "no label, no error"
    assert math.isnan(of([1.0, 2.0], [math.nan, 2.0])), "a broken model shows"


def test_small_errors_of_large_labels() -> None:
    """Sums of float32 squares would lose them."""
    labels = np.full(100_000, 1e6)
    assert of(labels, labels + 0.5) == pytest.approx(0.5, rel=1e-6)


def test_config_and_type() -> None:
    metric = MaskedRMSE.from_config(MaskedRMSE(name="error").get_config())
    assert metric.name == "error"
    assert metric.result().dtype == tf.float32
    assert keras.saving.get_registered_name(MaskedRMSE) == "tfmtl>MaskedRMSE"


def test_lower_is_better_for_callbacks() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1), keras.layers.Reshape(())])
    model.compile("sgd", "mse", metrics=[MaskedRMSE()])
    stop = keras.callbacks.EarlyStopping("rmse", mode="auto")
    model.fit(np.ones((4, 1)), np.ones(4), epochs=1, verbose=0, callbacks=[stop])
    assert stop.monitor_op is np.less or "less" in stop.monitor_op.__name__


@pytest.mark.parametrize(
    ("labels", "predictions", "argument"), [([1.0], [[1.0]], "y_pred"), ([[1.0]], [1.0], "y_true")]
)
def test_shapes_are_checked(labels: list, predictions: list, argument: str) -> None:
    with pytest.raises(ValueError) as caught:
        of(labels, predictions)
    assert str(caught.value) == (
        f"MaskedRMSE: `{argument}.shape` must be (B,). Received: {argument}.shape=(1, 1). Use one metric for each task."
    )
