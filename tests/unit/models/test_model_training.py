"""MultiTaskModel under `compile`, `fit` and `evaluate`."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem, whole_split
from tests.unit.models.reference_losses import TASKS, WEIGHTS, numpy_losses
from tfmtl.data import PreparedData
from tfmtl.metrics import rmse, roc_auc
from tfmtl.models import PRESETS
from tfmtl.optimizers import Split

# === Metrics ===


def test_metrics_shown_are_the_exact_ones(small_data: PreparedData) -> None:
    model = tiny_model(small_data.inputs)
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(small_data.train(64), validation_data=small_data.valid(50), epochs=4, verbose=0).history
    features, labels = whole_split(small_data, "valid")
    predictions = {task: values.numpy() for task, values in model(features).items()}
    aucs = []
    for task in ("click", "buy"):
        known = ~np.isnan(labels[task])
        truth, scores = labels[task].numpy()[known], predictions[task][known]
        aucs.append(history[f"val_{task}/auc"][-1])
        bins = np.floor((np.log(scores) - np.log1p(-scores)) * 64)  # 1/64 wide in logits, as the metric states
        positives, negatives = bins[truth == 1.0], bins[truth == 0.0]
        ties = np.sum(positives[:, None] == negatives)
        bound = ties / (2.0 * len(positives) * len(negatives)) + 1e-6
        assert bound < 0.05
        assert aucs[-1] == pytest.approx(roc_auc(labels[task], predictions[task]), abs=bound)
    assert history["val_mean_auc"][-1] == pytest.approx(np.mean(aucs), abs=1e-6)
    assert history["val_watch/rmse"][-1] == pytest.approx(rmse(labels["watch"], predictions["watch"]), abs=1e-5)
    expected = numpy_losses(small_data.inputs, model.raw_outputs(features), labels)
    for task in TASKS:
        assert history[f"val_{task}/loss"][-1] == pytest.approx(expected[task], rel=1e-5)


def test_task_losses_shown_do_not_depend_on_the_batches(small_data: PreparedData) -> None:
    model = tiny_model(small_data.inputs)
    model.compile()
    whole, *others = (model.evaluate(small_data.valid(size), verbose=0, return_dict=True) for size in (120, 120, 50, 7))
    assert set(whole) == {
        "loss",
        "mean_auc",
        "click/loss",
        "click/auc",
        "buy/loss",
        "buy/auc",
        "watch/loss",
        "watch/rmse",
    }
    for other in others:
        for name in set(whole) - {"loss"}:
            # Batches of other sizes round otherwise, which may turn a pair of scores round.
            bound = {"abs": 1e-3} if name.endswith("auc") else {"rel": 1e-5}
            assert other[name] == pytest.approx(whole[name], **bound), name


def test_loss_shown_is_the_mean_over_rows_of_the_batches_losses(small_data: PreparedData) -> None:
    model = tiny_model(small_data.inputs)
    model.compile()
    shown = model.evaluate(small_data.valid(50), verbose=0, return_dict=True)["loss"]
    total = 0.0
    for features, labels in small_data.valid(50):
        losses = numpy_losses(small_data.inputs, model.raw_outputs(features), labels)
        total += len(labels["click"]) * sum(WEIGHTS[task] * losses[task] for task in TASKS)
    assert shown == pytest.approx(total / 120, rel=1e-5)


def test_a_task_of_one_class_is_left_out_of_the_mean_auc(small_data: PreparedData) -> None:
    model = tiny_model(small_data.inputs)
    model.compile()
    features, labels = whole_split(small_data, "valid")
    constant = {**labels, "buy": tf.zeros_like(labels["buy"])}
    shown = model.evaluate(features, constant, 120, verbose=0, return_dict=True)
    assert shown["buy/auc"] == 0.0
    assert shown["mean_auc"] == shown["click/auc"] > 0.0
    nothing = {**constant, "click": tf.zeros_like(labels["click"])}
    assert model.evaluate(features, nothing, 120, verbose=0, return_dict=True)["mean_auc"] == 0.0


def test_values_returned_as_a_list_are_in_the_order_of_the_names(small_data: PreparedData) -> None:
    model = tiny_model(small_data.inputs)
    model.compile()
    features, labels = whole_split(small_data, "valid")
    named = model.evaluate(features, labels, 120, verbose=0, return_dict=True)
    listed = model.evaluate(features, labels, 120, verbose=0)
    assert dict(zip(model.metrics_names, listed, strict=True)) == pytest.approx(named, rel=1e-6)
    assert len({round(value, 6) for value in listed}) == len(listed), "equal values would show nothing"
    assert len(model.train_on_batch(features, labels)) == len(model.metrics_names)


def test_regression_alone_has_no_mean_auc() -> None:
    problem = tiny_problem(tasks=tiny_problem().tasks[2:])
    model = tiny_model(tiny_inputs(problem))
    model.compile()
    assert set(model.get_metrics_result()) == {"loss", "watch/loss", "watch/rmse"}


# === Compilation and training ===


@pytest.mark.parametrize("preset", PRESETS)
def test_compile_without_arguments_and_fit(small_data: PreparedData, preset: str) -> None:
    towers = {"tower_units": (32,)} if "tower_units" in inspect.signature(PRESETS[preset]).parameters else {}
    model = tiny_model(small_data.inputs, preset, hidden_units=(64, 32), **towers)
    model.compile()
    assert isinstance(model.optimizer, Split)
    epochs = 14 if preset == "creative" else 8  # slower, since it drops .3 of its hidden units
    history = model.fit(small_data.train(20), epochs=epochs, verbose=0).history
    for name in ("loss", "click/loss", "buy/loss", "watch/loss"):
        assert history[name][-1] < 0.97 * history[name][0], name


@pytest.mark.parametrize("argument", ["loss", "loss_weights", "metrics", "weighted_metrics"])
def test_what_follows_from_the_problem_is_refused(argument: str) -> None:
    with pytest.raises(ValueError) as caught:
        tiny_model(tiny_inputs()).compile("sgd", **{argument: "mse"})
    assert str(caught.value) == (
        f"MultiTaskModel: `{argument}` must not be given to compile(), it follows from the problem. "
        f"Received: {argument}='mse'. Set a task's `weight` in the problem to change its share."
    )


def test_other_arguments_of_compile_reach_keras() -> None:
    model = tiny_model(tiny_inputs())
    model.compile("rmsprop", steps_per_execution=2, run_eagerly=False, jit_compile=True)
    assert isinstance(model.optimizer, keras.optimizers.RMSprop)
    assert (model.steps_per_execution, model.jit_compile) == (2, True)
    model.compile()
    assert model.jit_compile is False


def test_xla_computes_the_same(small_data: PreparedData) -> None:
    def trained(**arguments) -> tuple[dict, list]:
        keras.utils.set_random_seed(0)
        model = tiny_model(small_data.inputs, "shared_bottom")
        model.compile(keras.optimizers.SGD(0.05), **arguments)
        history = model.fit(small_data.train(72), epochs=2, verbose=0).history
        return history, model.get_weights()

    (plain, weights), (compiled, compiled_weights) = trained(jit_compile=False), trained(jit_compile=True)
    for name, values in plain.items():
        # A rounding may carry a score into the next bin, and so change an area by a few pairs.
        tolerance = {"atol": 0.01} if name.endswith("auc") else {"rtol": 1e-5}
        np.testing.assert_allclose(compiled[name], values, err_msg=name, **tolerance)
    for one, other in zip(weights, compiled_weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.fixture
def bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("bfloat16")
def test_mixed_precision(small_data: PreparedData) -> None:
    model = tiny_model(small_data.inputs, "dtrn")
    model.compile(keras.optimizers.Adam(0.01))
    assert model.compute_dtype == model.bottom.compute_dtype == model.embedding.compute_dtype == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    history = model.fit(small_data.train(60), epochs=3, verbose=0).history
    assert all(np.all(np.isfinite(values)) for values in history.values())
    assert history["loss"][-1] < history["loss"][0]
    outputs = model(whole_split(small_data, "test")[0])
    assert {values.dtype for values in outputs.values()} == {tf.float32}


def test_seed_decides_everything(small_data: PreparedData) -> None:
    def weights_of(seed: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(seed)
        model = tiny_model(small_data.inputs, "shared_bottom", dropout=0.2)
        model.compile()
        model.fit(small_data.train(90, seed), epochs=2, verbose=0)
        return model.get_weights()

    one, again, other = weights_of(1), weights_of(1), weights_of(2)
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert any(np.any(first != second) for first, second in zip(one, other, strict=True))
