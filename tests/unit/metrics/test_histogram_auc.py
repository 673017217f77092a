"""HistogramAUC against the exact AUC, its stated error bound, and under every way Keras runs a metric."""

import math
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tests.support.fresh_process import run_fresh
from tfmtl.metrics import HistogramAUC
from tfmtl.metrics.histogram_auc import rough_auc


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(logits, dtype=np.float64)))


def streamed(labels, probabilities, weights=None, num_bins: int = 2048, batches: int = 4) -> HistogramAUC:
    metric = HistogramAUC(num_bins)
    for part in np.array_split(np.arange(len(labels)), batches):
        metric.update_state(labels[part], probabilities[part], None if weights is None else weights[part])
    return metric


def stated_bound(labels, probabilities, num_bins: int = 2048) -> float:
    """The docstring's bound, from its own histogram of the logits."""
    logits = np.clip(np.log(probabilities / (1 - probabilities)), -16, 16)
    edges = np.linspace(-16, 16, num_bins + 1)
    positives = np.histogram(logits[labels == 1], edges)[0]
    negatives = np.histogram(logits[labels == 0], edges)[0]
    return float(np.sum(positives * negatives) / (2 * positives.sum() * negatives.sum()))


def drawn_rows(seed: int, size: int = 20_000, base_logit: float = -3.0, spread: float = 1.0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(base_logit, spread, size)
    labels = (generator.random(size) < sigmoid(logits)).astype(np.float64)
    return labels, sigmoid(logits)


@pytest.mark.parametrize("base_logit", [-6.0, -3.0, 0.0, 5.0])
def test_is_the_exact_auc_within_the_stated_bound(base_logit: float) -> None:
    labels, probabilities = drawn_rows(0, base_logit=base_logit)
    error = abs(float(streamed(labels, probabilities).result()) - roc_auc_score(labels, probabilities))
    bound = stated_bound(labels, probabilities)
    assert error <= bound + 1e-7
    assert bound < 0.003
    assert error < 2e-4  # the halves are right on average


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(-20, 20)), min_size=2, max_size=60).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    ),
    st.sampled_from([2, 16, 128]),
)
def test_bound_holds_for_any_rows(rows, num_bins: int) -> None:
    labels = np.array([label for label, _ in rows], dtype=np.float64)
    probabilities = sigmoid([logit for _, logit in rows])
    metric = streamed(labels, probabilities, num_bins=num_bins, batches=1)
    positives, negatives = np.array(metric.positives), np.array(metric.negatives)
    assert (positives.sum(), negatives.sum()) == (labels.sum(), (1 - labels).sum())
    bound = np.sum(positives * negatives) / (positives.sum() * negatives.sum())
    assert abs(float(metric.result()) - roc_auc_score(labels, probabilities)) <= bound + 1e-6


def test_scores_with_a_bin_of_their_own_are_ranked_exactly() -> None:
    generator = np.random.default_rng(1)
    probabilities = sigmoid(generator.integers(-30, 30, 5000) / 2 + 0.1)
    labels = (generator.random(5000) < 0.1).astype(np.float64)
    expected = roc_auc_score(labels, probabilities)
    assert float(streamed(labels, probabilities).result()) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("base_logit", [-11.0, 11.0])
def test_extreme_probabilities_keep_their_order(base_logit: float) -> None:
    """Near 0 and 1 uniform bins in the probability would hold everything in one."""
    generator = np.random.default_rng(2)
    labels = (generator.random(4000) < 0.3).astype(np.float64)
    probabilities = sigmoid(base_logit + labels + generator.normal(size=4000)).astype(np.float32)
    assert np.ptp(probabilities) < 1 / 500
    expected = roc_auc_score(labels, probabilities)
    assert float(streamed(labels, probabilities).result()) == pytest.approx(expected, abs=1e-3)


def test_the_number_of_bins_matters_little() -> None:
    labels, probabilities = drawn_rows(3)
    probabilities = np.round(probabilities, 3).clip(0.001, 0.999)
    expected = roc_auc_score(labels, probabilities)
    errors = [abs(float(streamed(labels, probabilities, num_bins=n).result()) - expected) for n in (4, 2048)]
    assert max(errors) < 1e-3
    assert errors[0] != errors[1]


@pytest.mark.parametrize("spread", [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 5.0])
def test_scores_that_lie_close_together(spread: float) -> None:
    """As an untrained model predicts, in float32: a histogram alone would call nearly all pairs ties."""
    generator = np.random.default_rng(8)
    for base_logit in (-7.0, -3.0, -0.4, 4.0):
        hidden = generator.normal(size=4000)
        labels = (generator.random(4000) < sigmoid(hidden)).astype(np.float64)
        probabilities = sigmoid(base_logit + spread * hidden).astype(np.float32)
        expected = roc_auc_score(labels, probabilities)
        assert float(streamed(labels, probabilities).result()) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 12, 20, 40, 100, 400])
def test_few_distinct_scores(count: int) -> None:
    """As of a model of one category: scores are ties or far apart, and places are shared by chance."""
    generator = np.random.default_rng(count)
    errors = []
    for spread in (1e-3, 0.05, 3.0):
        scores = sigmoid(generator.uniform(-6, 6) + spread * generator.normal(size=count)).astype(np.float32)
        rates, own = generator.random(count), generator.integers(0, count, 4000)
        labels = (generator.random(4000) < rates[own]).astype(np.float64)
        errors.append(abs(float(streamed(labels, scores[own]).result()) - roc_auc_score(labels, scores[own])))
    assert max(errors) < 0.01


def test_equal_scores_are_half_won() -> None:
    labels = np.arange(100) % 3 == 0
    assert float(streamed(labels.astype(float), np.full(100, 0.3, np.float32)).result()) == 0.5


def test_batches_do_not_matter_and_parts_merge_by_addition() -> None:
    labels, probabilities = drawn_rows(4)
    whole = streamed(labels, probabilities, batches=1)
    half = len(labels) // 2
    first = streamed(labels[:half], probabilities[:half], batches=7)
    second = streamed(labels[half:], probabilities[half:], batches=3)
    for variable, one, other in zip(whole.variables, first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(np.array(variable), np.array(one) + np.array(other))
    assert float(np.sum(whole.positives) + np.sum(whole.negatives)) == len(labels)


def test_weights_missing_labels_and_reset() -> None:
    labels, probabilities = drawn_rows(5, size=4000)
    generator = np.random.default_rng(5)
    weights = generator.integers(0, 4, 4000).astype(np.float64)
    expected = roc_auc_score(labels, probabilities, sample_weight=weights)
    weighted = streamed(labels, probabilities, weights)
    assert float(weighted.result()) == pytest.approx(expected, abs=1e-3)
    present = weights > 0
    for masked_weights, masked_labels in [
        (present.astype(np.float64), labels),
        (None, np.where(present, labels, np.nan)),
        (np.where(present, 1.0, np.nan), np.where(present, labels, np.nan)),
    ]:
        masked = streamed(masked_labels, np.where(present, probabilities, 0.5), masked_weights)
        kept = streamed(labels[present], probabilities[present])
        for variable, reference in zip(masked.variables, kept.variables, strict=True):
            np.testing.assert_array_equal(np.array(variable), np.array(reference))
    weighted.reset_state()
    assert float(weighted.result()) == 0.0


def test_a_missing_label_hides_its_prediction() -> None:
    metric = HistogramAUC()
    metric.update_state([0.0, 1.0, math.nan, math.nan], [0.2, 0.8, math.nan, 40.0])
    assert float(metric.result()) == 1.0


@pytest.mark.parametrize(
    ("label", "probability", "weight"),
    [
        (1.0, math.nan, 1.0),
        (0.0, math.nan, 1.0),
        (1.0, 4.2, 1.0),
        (0.0, -0.1, 1.0),
        (2.0, 0.5, 1.0),
        (1.0, 0.5, math.nan),
    ],
)
def test_an_unusable_row_shows_as_nan(label: float, probability: float, weight: float) -> None:
    metric = HistogramAUC()
    metric.update_state([0.0, 1.0, label], [0.2, 0.8, probability], [1.0, 1.0, weight])
    assert math.isnan(metric.result())
    metric.reset_state()
    metric.update_state([0.0, 1.0], [0.2, 0.8])
    assert float(metric.result()) == 1.0


def test_probabilities_may_leave_the_unit_interval_by_rounding() -> None:
    metric = HistogramAUC()
    metric.update_state([0.0, 1.0], np.float32([-1e-7, 1.0000001]))
    assert float(metric.result()) == 1.0


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_certain_predictions_of_any_type(dtype: str) -> None:
    metric = HistogramAUC()
    metric.update_state(tf.constant([0, 0, 1, 1]), tf.constant([0.0, 0.5, 0.5, 1.0], dtype))
    assert float(metric.result()) == 0.875


@pytest.mark.parametrize("labels", [[], [1.0, 1.0], [0.0], [math.nan]])
def test_one_class_is_zero(labels: list[float]) -> None:
    metric = HistogramAUC()
    metric.update_state(np.array(labels, dtype=np.float32), np.full(len(labels), 0.5, dtype=np.float32))
    assert float(metric.result()) == 0.0


@pytest.mark.parametrize(("undefined", "best_epoch"), [(0.0, 2), (math.nan, 0)])
def test_early_stopping_survives_an_undefined_first_epoch(undefined: float, best_epoch: int) -> None:
    """Why the undefined AUC is 0.0: with NaN, the second case, Keras never finds anything better."""
    stopping = keras.callbacks.EarlyStopping(monitor="auc", mode="max", patience=5)
    stopping.set_model(keras.Sequential([keras.Input((1,))]))
    stopping.on_train_begin()
    for epoch, value in enumerate([undefined, 0.48, 0.6]):
        stopping.on_epoch_end(epoch, {"auc": value})
    assert stopping.best_epoch == best_epoch


def test_counts_stay_exact_past_float32() -> None:
    metric = HistogramAUC(num_bins=2)
    metric.positives.assign_add([2.0**24, 0.0])
    metric.update_state([1.0], [0.1])
    assert float(metric.positives[0]) == 2.0**24 + 1


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graph_and_xla_equal_eager(jit_compile: bool) -> None:
    labels, probabilities = drawn_rows(6, size=512)
    labels[::5] = np.nan
    weights = np.random.default_rng(6).random(512)
    eager = streamed(labels, probabilities, weights, batches=1)
    compiled = HistogramAUC()
    update = tf.function(compiled.update_state, jit_compile=jit_compile)
    update(tf.constant(labels), tf.constant(probabilities), tf.constant(weights))
    for variable, reference in zip(compiled.variables, eager.variables, strict=True):
        np.testing.assert_allclose(np.array(variable), np.array(reference), rtol=1e-12)
    result = tf.function(compiled.result, jit_compile=jit_compile)()
    assert float(result) == pytest.approx(float(eager.result()), abs=1e-7)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_evaluate_and_reload(jit_compile: bool, tmp_path) -> None:
    """Labels (B,) against outputs (B, 1), as Keras hands them over, with a last batch of another size."""
    generator = np.random.default_rng(7)
    features = generator.normal(size=(600, 3)).astype(np.float32)
    labels = (generator.random(600) < sigmoid(2 * features[:, 0])).astype(np.float32)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=[HistogramAUC(512)], jit_compile=jit_compile)
    history = model.fit(features, labels, batch_size=128, epochs=2, verbose=0, validation_data=(features, labels))
    scores = model.predict(features, verbose=0)[:, 0]
    assert history.history["val_auc"][-1] == pytest.approx(roc_auc_score(labels, scores), abs=2e-3)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    results = reloaded.evaluate(features, labels, verbose=0, return_dict=True)
    assert results["auc"] == pytest.approx(history.history["val_auc"][-1], abs=1e-6)


@pytest.mark.process
def test_two_replicas_equal_one() -> None:
    """In a process of its own: TensorFlow takes the number of logical devices once, before it starts."""
    code = """
    import numpy as np, tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from tfmtl.metrics import HistogramAUC
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    generator = np.random.default_rng(0)
    probabilities = generator.random(300).astype("float32")
    labels = (generator.random(300) < probabilities).astype("float32")
    alone = HistogramAUC()
    alone.update_state(labels, probabilities)
    with strategy.scope():
        together = HistogramAUC()
    batches = tf.data.Dataset.from_tensor_slices((labels, probabilities)).batch(70)
    run = tf.function(lambda *batch: strategy.run(together.update_state, batch))
    for batch in strategy.experimental_distribute_dataset(batches):
        run(*batch)
    assert strategy.num_replicas_in_sync == 2
    for variable, reference in zip(together.variables, alone.variables):
        np.testing.assert_array_equal(np.array(variable.value), np.array(reference.value))
    assert float(together.result()) == float(alone.result())
    print("equal")
    """
    assert run_fresh("-c", textwrap.dedent(code)).stdout.strip() == "equal"


def test_config_round_trip() -> None:
    metric = HistogramAUC(num_bins=64, name="click_auc")
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert isinstance(restored, HistogramAUC)
    assert restored.get_config() == metric.get_config()
    assert restored.positives.shape == (64,)
    assert keras.saving.get_registered_name(HistogramAUC) == "tfmtl>HistogramAUC"


def test_early_stopping_knows_the_direction() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=[HistogramAUC()])
    stopping = keras.callbacks.EarlyStopping(monitor="auc", patience=0)
    model.fit(np.ones((4, 1)), np.array([0, 1, 0, 1]), epochs=1, verbose=0, callbacks=[stopping])
    assert stopping.monitor_op is keras.ops.greater


@pytest.mark.parametrize(
    ("num_bins", "error", "text"),
    [
        (0, ValueError, "HistogramAUC: `num_bins` must be a positive int. Received: num_bins=0. Use 2048."),
        (2.0, TypeError, "HistogramAUC: `num_bins` must be a positive int. Received: num_bins=2.0 (float). Use 2048."),
    ],
)
def test_constructor_errors(num_bins, error, text: str) -> None:
    with pytest.raises(error) as caught:
        HistogramAUC(num_bins=num_bins)
    assert text == str(caught.value)


@pytest.mark.parametrize(
    ("labels", "probabilities", "text"),
    [
        (
            np.zeros(4),
            np.zeros((4, 2)),
            "HistogramAUC: `y_pred.shape` must be (B,) or (B, 1). Received: y_pred.shape=(4, 2). Use one metric",
        ),
        (np.zeros((4, 1, 1)), np.zeros(4), "Received: y_true.shape=(4, 1, 1)."),
    ],
)
def test_update_errors(labels, probabilities, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        HistogramAUC().update_state(labels, probabilities)
    assert text in str(caught.value)


def test_rough_updates_are_near_and_a_reset_makes_them_exact_again() -> None:
    generator = np.random.default_rng(4)
    hidden = generator.normal(size=4000)
    labels = (generator.random(4000) < sigmoid(hidden)).astype(np.float64)
    probabilities = sigmoid(-3.0 + 1e-3 * hidden).astype(np.float32)
    expected = roc_auc_score(labels, probabilities)
    metric = HistogramAUC()
    with rough_auc():
        metric.update_state(labels, probabilities)
        inside = float(metric.result())
    assert inside == pytest.approx(expected, abs=0.02)
    assert float(metric.result()) == inside  # as Keras reads it where an epoch ends
    assert [bool(np.any(copy)) for copy in metric.close] == [True, False, False]
    metric.reset_state()
    metric.update_state(labels, probabilities)
    assert all(np.any(copy) for copy in metric.close)
    assert float(metric.result()) == pytest.approx(expected, abs=2e-3)
