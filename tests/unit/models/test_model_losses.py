"""MultiTaskModel's losses and their gradients: missing labels, task weights, sample weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_model, tiny_problem, whole_split
from tests.unit.models.reference_losses import TASKS, WEIGHTS, numpy_losses
from tfmtl.data import PreparedData
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.sharing.shared_network import SharedNetwork
from tfmtl.models import MultiTaskModel
from tfmtl.schema import ModelInputs


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

    class Penalised(SharedNetwork):
        def call(self, inputs, training=False):
            self.add_loss(tf.constant(3.0))
            return super().call(inputs)

    def loss_of(sharing: type[SharedNetwork]) -> float:
        keras.utils.set_random_seed(0)
        model = MultiTaskModel(tiny_data.inputs, ConcatenationBottom(), sharing(3, (8,)), (8,))
        model.build()
        model.compile()
        return model.evaluate(features, labels, 60, verbose=0, return_dict=True)["loss"]

    assert loss_of(Penalised) == pytest.approx(loss_of(SharedNetwork) + 3.0, rel=1e-6)
