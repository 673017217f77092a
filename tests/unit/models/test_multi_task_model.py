"""MultiTaskModel as a Keras model: calls, losses, metrics, compilation."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem, whole_split
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import encoded_signature
from tfmtl.layers.bottom.shared_bottom_representation import SharedBottomRepresentation
from tfmtl.layers.sharing.shared_bottom import SharedBottom
from tfmtl.metrics import rmse, roc_auc
from tfmtl.models import PRESETS, MultiTaskModel
from tfmtl.schema import ModelInputs

TASKS = ("click", "buy", "watch")
WEIGHTS = {"click": 1.0, "buy": 2.0, "watch": 0.5}


def rows_of(batch, rows):
    """Some rows of a dict of tensors, or all in another order."""
    return {key: tf.gather(value, rows) for key, value in batch.items()}


def gradients(model: MultiTaskModel, features, labels, weights=None) -> list[np.ndarray]:
    """What one step of gradient descent at rate 1 takes away from every weight."""
    before = [weight.numpy() for weight in model.trainable_weights]
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    model.train_on_batch(features, labels, sample_weight=weights)
    steps = [old - weight.numpy() for old, weight in zip(before, model.trainable_weights, strict=True)]
    for weight, old in zip(model.trainable_weights, before, strict=True):
        weight.assign(old)
    return steps


def assert_gradients_close(actual, expected) -> None:
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def largest(steps: list[np.ndarray]) -> float:
    return max(float(np.max(np.abs(step))) for step in steps)


# === Forward ===


@pytest.mark.parametrize("preset", PRESETS)
def test_call(tiny_data: PreparedData, preset: str) -> None:
    model = tiny_model(tiny_data.inputs, preset)
    features, _ = whole_split(tiny_data, "test")
    outputs = model(features)
    assert tuple(outputs) == TASKS
    for task, values in outputs.items():
        assert values.shape == (120,)
        assert values.dtype == tf.float32
        assert np.all(np.isfinite(values))
        assert np.std(values) > 0.0, task
    for task in ("click", "buy"):
        assert np.all((outputs[task] >= 0.0) & (outputs[task] <= 1.0))
    raw = model.raw_outputs(features)
    np.testing.assert_allclose(outputs["buy"], 1.0 / (1.0 + np.exp(-raw["buy"].numpy())), rtol=1e-5)
    mean, deviation = tiny_data.inputs.label_means["watch"], tiny_data.inputs.label_deviations["watch"]
    np.testing.assert_allclose(outputs["watch"], raw["watch"] * deviation + mean, rtol=1e-6)
    alone = model({key: value[:1] for key, value in features.items()})
    for task in TASKS:
        np.testing.assert_allclose(alone[task], outputs[task][:1], rtol=1e-5)
    predicted = model.predict(features, batch_size=50, verbose=0)
    for task in TASKS:
        np.testing.assert_allclose(predicted[task], outputs[task], rtol=1e-5)


def test_untrained_model_predicts_the_base_rates(tiny_data: PreparedData) -> None:
    outputs = tiny_model(tiny_data.inputs)(whole_split(tiny_data, "train")[0])
    for task, mean in tiny_data.inputs.label_means.items():
        assert float(np.mean(outputs[task])) == pytest.approx(mean, rel=0.05)


def test_no_two_kernels_start_equal() -> None:
    matrices = []
    for weight in tiny_model(tiny_inputs(), "dtrn").trainable_weights:
        value = weight.numpy()
        if "kernel" in weight.name:
            matrices.extend(value if value.ndim == 3 else [value])
    assert len(matrices) > 20
    for one, other in itertools.combinations(matrices, 2):
        assert one.shape != other.shape or np.any(one != other)


@pytest.mark.parametrize("preset", PRESETS)
def test_build_needs_no_data_and_makes_every_weight(preset: str) -> None:
    model = tiny_model(tiny_inputs(), preset)
    count = len(model.weights)
    assert count
    assert all(layer.built for layer in model._flatten_layers())
    signature = encoded_signature(model.inputs.problem)
    model({key: tf.zeros([2, *spec.shape[1:]], spec.dtype) for key, spec in signature.items()})
    assert len(model.weights) == count


# === Losses ===


def numpy_losses(inputs: ModelInputs, raw, labels, weights=None) -> dict[str, float]:
    """Each task's mean over its labelled rows: cross-entropy, squared error in standard deviations."""
    losses = {}
    for task in TASKS:
        scores, known = raw[task].numpy().astype(np.float64), labels[task].numpy().astype(np.float64)
        rows = [n for n in range(len(known)) if not np.isnan(known[n])]
        if task == "watch":
            scaled = (known - inputs.label_means[task]) / inputs.label_deviations[task]
            values = (scores - scaled) ** 2
        else:
            probability = 1.0 / (1.0 + np.exp(-scores))
            values = -known * np.log(probability) - (1.0 - known) * np.log(1.0 - probability)
        row_weights = np.ones(len(known)) if weights is None else np.asarray(weights, np.float64)
        total = sum(row_weights[n] for n in rows)
        losses[task] = sum(row_weights[n] * values[n] for n in rows) / total if total else 0.0
    return losses


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_equal_numpy(tiny_data: PreparedData, weighted: bool) -> None:
    model = tiny_model(tiny_data.inputs)
    features, labels = whole_split(tiny_data, "valid")
    weights = tf.random.uniform([120], 0.0, 3.0, seed=1) if weighted else None
    raw = model.raw_outputs(features)
    expected = numpy_losses(tiny_data.inputs, raw, labels, weights)
    losses = model.task_losses(raw, labels, weights)
    for task in TASKS:
        assert float(losses[task]) == pytest.approx(expected[task], rel=1e-5)
        assert losses[task].dtype == tf.float32
    model.compile()
    shown = model.evaluate(features, labels, 120, sample_weight=weights, verbose=0, return_dict=True)
    for task in TASKS:
        assert shown[f"{task}/loss"] == pytest.approx(expected[task], rel=1e-5)
    total = sum(WEIGHTS[task] * expected[task] for task in TASKS)
    assert shown["loss"] == pytest.approx(total, rel=1e-5)


def test_a_row_without_labels_changes_nothing(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs)
    features, labels = (rows_of(part, range(24)) for part in whole_split(tiny_data, "train"))
    hidden = tf.constant([n % 4 == 0 for n in range(24)])
    labels = {task: tf.where(hidden, np.nan, values) for task, values in labels.items()}
    expected = gradients(model, features, labels)
    other = whole_split(tiny_data, "test")[0]
    changed = {
        key: tf.tensor_scatter_nd_update(value, tf.where(hidden), other[key][:6]) for key, value in features.items()
    }
    assert largest(expected) > 0.0
    assert_gradients_close(gradients(model, changed, labels), expected)
    kept = [n for n in range(24) if n % 4]
    assert_gradients_close(gradients(model, rows_of(features, kept), rows_of(labels, kept)), expected)


def test_a_task_without_labels_in_a_batch(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs)
    features, labels = (rows_of(part, range(24)) for part in whole_split(tiny_data, "train"))
    labels["watch"] = tf.fill([24], np.nan)
    losses = model.task_losses(model.raw_outputs(features), labels)
    assert float(losses["watch"]) == 0.0
    steps = gradients(model, features, labels)
    assert all(np.all(np.isfinite(step)) for step in steps)
    for weight, step in zip(model.trainable_weights, steps, strict=True):
        if "head_watch" in weight.path:
            assert not np.any(step)
        if "head_click" in weight.path:
            assert np.any(step)


def test_no_label_at_all(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs)
    features, labels = (rows_of(part, range(8)) for part in whole_split(tiny_data, "train"))
    labels = {task: tf.fill([8], np.nan) for task in labels}
    assert largest(gradients(model, features, labels)) == 0.0
    model.compile()
    shown = model.evaluate(features, labels, verbose=0, return_dict=True)
    assert set(shown.values()) == {0.0}


def test_task_weight_scales_the_gradient(tiny_data: PreparedData) -> None:
    features, labels = (rows_of(part, range(48)) for part in whole_split(tiny_data, "train"))
    tasks = tiny_data.problem.tasks

    def steps_of(weights: dict[str, float]) -> list[np.ndarray]:
        keras.utils.set_random_seed(3)
        changed = tuple(type(task)(**{**vars(task), "weight": weights[task.name]}) for task in tasks)
        facts = {**vars(tiny_data.inputs), "problem": tiny_problem(tasks=changed)}
        return gradients(tiny_model(ModelInputs(**facts)), features, labels)

    only = {task: steps_of({name: 1.0 if name == task else 1e-9 for name in TASKS}) for task in TASKS}
    for task in TASKS:
        assert largest(only[task]) > 1e-3
    expected = [click + 2.0 * buy + 0.5 * watch for click, buy, watch in zip(*only.values(), strict=True)]
    assert_gradients_close(steps_of(WEIGHTS), expected)


def test_whole_sample_weights_repeat_rows(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs)
    features, labels = (rows_of(part, range(24)) for part in whole_split(tiny_data, "train"))
    times = np.arange(24) % 3
    weighted = gradients(model, features, labels, times.astype("float32"))
    rows = np.repeat(np.arange(24), times)
    assert_gradients_close(weighted, gradients(model, rows_of(features, rows), rows_of(labels, rows)))
    plain = gradients(model, features, labels)
    assert max(np.max(np.abs(one - other)) for one, other in zip(weighted, plain, strict=True)) > 1e-3


def test_whole_numbers_may_be_labels_and_weights(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs)
    features, labels = (rows_of(part, range(24)) for part in whole_split(tiny_data, "train"))
    labels = {task: tf.where(tf.math.is_nan(values), 1.0, values // 1) for task, values in labels.items()}
    integers = {task: tf.cast(values, tf.int64) for task, values in labels.items()}
    weights = np.arange(24) % 3
    expected = gradients(model, features, labels, weights.astype("float32"))
    assert_gradients_close(gradients(model, features, integers, weights), expected)


def test_sample_weights_by_task(tiny_data: PreparedData) -> None:
    """One array for all tasks, the same as a dict, and another for one task; arrays and data sets alike."""
    model = tiny_model(tiny_data.inputs)
    model.compile()
    features, labels = whole_split(tiny_data, "valid")
    weights = np.arange(120, dtype="float32") % 5
    by_task = {"click": weights, "buy": weights, "watch": np.ones(120, "float32")}

    def shown(*batch) -> dict[str, float]:
        return model.evaluate(tf.data.Dataset.from_tensors(batch), verbose=0, return_dict=True)

    plain, common, own = shown(features, labels), shown(features, labels, weights), shown(features, labels, by_task)
    arrays = model.evaluate(features, labels, 120, sample_weight=weights, verbose=0, return_dict=True)
    assert arrays == pytest.approx(common, rel=1e-6)
    for name in ("click/loss", "click/auc", "buy/loss"):
        assert own[name] == pytest.approx(common[name], rel=1e-6)
        assert common[name] != pytest.approx(plain[name], rel=1e-3)
    for name in ("watch/loss", "watch/rmse"):
        assert own[name] == pytest.approx(plain[name], rel=1e-6)
    with pytest.raises(KeyError, match="watch"):
        shown(features, labels, {"click": weights, "buy": weights})


def test_what_layers_add_to_the_loss_counts(tiny_data: PreparedData) -> None:
    features, labels = whole_split(tiny_data, "valid")

    class Penalised(SharedBottom):
        def call(self, inputs, training=False):
            self.add_loss(tf.constant(3.0))
            return super().call(inputs)

    def loss_of(sharing: type[SharedBottom]) -> float:
        keras.utils.set_random_seed(0)
        model = MultiTaskModel(tiny_data.inputs, SharedBottomRepresentation(), sharing(3, (8,)), (8,))
        model.build()
        model.compile()
        return model.evaluate(features, labels, 60, verbose=0, return_dict=True)["loss"]

    assert loss_of(Penalised) == pytest.approx(loss_of(SharedBottom) + 3.0, rel=1e-6)


# === Metrics ===


def test_metrics_shown_are_the_exact_ones(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs)
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(tiny_data.train(64), validation_data=tiny_data.valid(50), epochs=2, verbose=0).history
    features, labels = whole_split(tiny_data, "valid")
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
    expected = numpy_losses(tiny_data.inputs, model.raw_outputs(features), labels)
    for task in TASKS:
        assert history[f"val_{task}/loss"][-1] == pytest.approx(expected[task], rel=1e-5)


def test_task_losses_shown_do_not_depend_on_the_batches(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs)
    model.compile()
    whole, *others = (model.evaluate(tiny_data.valid(size), verbose=0, return_dict=True) for size in (120, 120, 50, 7))
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
            assert other[name] == pytest.approx(whole[name], rel=1e-5), name


def test_loss_shown_is_the_mean_over_rows_of_the_batches_losses(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs)
    model.compile()
    shown = model.evaluate(tiny_data.valid(50), verbose=0, return_dict=True)["loss"]
    total = 0.0
    for features, labels in tiny_data.valid(50):
        losses = numpy_losses(tiny_data.inputs, model.raw_outputs(features), labels)
        total += len(labels["click"]) * sum(WEIGHTS[task] * losses[task] for task in TASKS)
    assert shown == pytest.approx(total / 120, rel=1e-5)


def test_regression_alone_has_no_mean_auc() -> None:
    problem = tiny_problem(tasks=tiny_problem().tasks[2:])
    model = tiny_model(tiny_inputs(problem))
    model.compile()
    assert set(model.get_metrics_result()) == {"loss", "watch/loss", "watch/rmse"}


# === Compilation and training ===


@pytest.mark.parametrize("preset", PRESETS)
def test_compile_without_arguments_and_fit(tiny_data: PreparedData, preset: str) -> None:
    model = tiny_model(tiny_data.inputs, preset, hidden_units=(64, 32), tower_units=(32,))
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    history = model.fit(tiny_data.train(20), epochs=8, verbose=0).history
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


def test_xla_computes_the_same(tiny_data: PreparedData) -> None:
    def trained(**arguments) -> tuple[dict, list]:
        keras.utils.set_random_seed(0)
        model = tiny_model(tiny_data.inputs, "shared_bottom")
        model.compile(keras.optimizers.SGD(0.05), **arguments)
        history = model.fit(tiny_data.train(72), epochs=2, verbose=0).history
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
def test_mixed_precision(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs, "dtrn")
    model.compile(keras.optimizers.Adam(0.01))
    assert model.compute_dtype == model.bottom.compute_dtype == model.embedding.compute_dtype == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    history = model.fit(tiny_data.train(60), epochs=3, verbose=0).history
    assert all(np.all(np.isfinite(values)) for values in history.values())
    assert history["loss"][-1] < history["loss"][0]
    outputs = model(whole_split(tiny_data, "test")[0])
    assert {values.dtype for values in outputs.values()} == {tf.float32}


def test_seed_decides_everything(tiny_data: PreparedData) -> None:
    def weights_of(seed: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(seed)
        model = tiny_model(tiny_data.inputs, "shared_bottom", dropout=0.2)
        model.compile()
        model.fit(tiny_data.train(90, seed), epochs=2, verbose=0)
        return model.get_weights()

    one, again, other = weights_of(1), weights_of(1), weights_of(2)
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert any(np.any(first != second) for first, second in zip(one, other, strict=True))


def test_arguments_are_checked() -> None:
    parts = (SharedBottomRepresentation(), SharedBottom(3, (8,)))
    with pytest.raises(TypeError, match="MultiTaskModel: `tower_units` must be a non-empty sequence of positive ints"):
        MultiTaskModel(tiny_inputs(), *parts, tower_units=8)
    with pytest.raises(ValueError, match=r"FeatureEmbedding: `dim` must be a positive int. Received: dim=0"):
        MultiTaskModel(tiny_inputs(), *parts, embedding_dim=0)


def test_embedding_dim_and_dropout_change_the_model(tiny_data: PreparedData) -> None:
    def model(**arguments) -> MultiTaskModel:
        keras.utils.set_random_seed(0)
        model = MultiTaskModel(tiny_data.inputs, SharedBottomRepresentation(), SharedBottom(3, (8,)), **arguments)
        model.build()
        return model

    assert model(embedding_dim=6).embedding.compute_output_shape()["fields"][-1] == 6
    assert model(tower_units=(5, 4)).towers.hidden_units == (5, 4)
    features, _ = whole_split(tiny_data, "valid")
    for dropout, differ in ((0.0, False), (0.5, True)):
        candidate = model(dropout=dropout)
        trained = candidate(features, training=True)["click"]
        assert bool(np.any(trained != candidate(features)["click"])) is differ
