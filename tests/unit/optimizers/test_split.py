"""Split: which weights are tables, and one optimizer that behaves as two."""

import json
import os
import re
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs
from tfmtl.core.tables import is_table, mark_table
from tfmtl.layers import FeatureEmbedding
from tfmtl.optimizers import SGD, Adagrad, LazyAdam, RowOptimizer, Split


def foreign_model(rows: int = 12) -> keras.Model:
    """Somebody else's Keras model: two embeddings and a dense layer."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,), dtype="int32")
    users = keras.layers.Embedding(rows, 4, name="users")(inputs)
    items = keras.layers.Embedding(rows, 4, name="items")(inputs)
    hidden = keras.layers.Flatten()(keras.layers.Concatenate()([users, items]))
    return keras.Model(inputs, keras.layers.Dense(1, name="dense")(hidden))


def batch(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 9, (6, 3)).astype("int32"), generator.normal(size=(6, 1)).astype("float32")


def gradients(model: keras.Model, seed: int = 0) -> list:
    ids, labels = batch(seed)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(ids) - labels))
    return tape.gradient(loss, model.trainable_variables)


def paths(variables: list[keras.Variable]) -> set[str]:
    return {variable.path for variable in variables}


def test_keras_embeddings_are_the_tables_and_known_before_any_gradient() -> None:
    model, split = foreign_model(), Split(LazyAdam(), keras.optimizers.Adam())
    split.build(model.trainable_variables)
    assert paths(split.tables._trainable_variables) == {"users/embeddings", "items/embeddings"}
    assert paths(split.rest._trainable_variables) == {"dense/kernel", "dense/bias"}
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients(model)[:2]), "and they are sparse"


def test_tables_of_feature_embedding_are_marked_and_its_other_weights_are_not() -> None:
    layer = FeatureEmbedding(tiny_inputs())
    layer.build()
    marked = {weight.name for weight in layer.weights if is_table(weight)}
    assert marked == {"table_4", "table_8"}
    assert {"number_kernel", "kernel"} <= {weight.name for weight in layer.weights} - marked


def test_a_marked_weight_and_a_plain_variable_named_embeddings_are_tables() -> None:
    weight = keras.Variable(np.zeros((2, 2), "float32"), name="mine")
    assert not is_table(weight)
    mark_table(weight)
    assert is_table(weight)
    assert is_table(tf.Variable([[1.0]], name="layer/embeddings"))
    assert not is_table(tf.Variable([[1.0]], name="embeddings/kernel"))


def test_select_takes_the_named_weights_and_no_others() -> None:
    model, split = foreign_model(), Split(SGD(), keras.optimizers.SGD(), select=["items/", "kernel"])
    split.build(model.trainable_variables)
    assert paths(split.tables._trainable_variables) == {"items/embeddings", "dense/kernel"}


def test_each_part_makes_the_step_that_it_makes_alone() -> None:
    together, apart = foreign_model(), foreign_model()
    split = Split(Adagrad(0.1, clipnorm=0.1), keras.optimizers.Adam(0.01))
    tables, rest = Adagrad(0.1, clipnorm=0.1), keras.optimizers.Adam(0.01)
    for seed in range(3):
        split.apply_gradients(zip(gradients(together, seed), together.trainable_variables, strict=True))
        found = gradients(apart, seed)
        tables.apply(found[:2], apart.trainable_variables[:2])
        rest.apply(found[2:], apart.trainable_variables[2:])
    for one, other in zip(together.get_weights(), apart.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [int(part.iterations) for part in (split, split.tables, split.rest)] == [3, 3, 3]


def test_a_part_without_gradients_waits_and_no_gradient_at_all_is_an_error() -> None:
    model, split = foreign_model(), Split(Adagrad(0.1), keras.optimizers.Adam(0.01))
    split.build(model.trainable_variables)
    before = model.get_weights()
    found = gradients(model)
    split.apply([None, None, *found[2:]])
    after = model.get_weights()
    assert [np.array_equal(one, other) for one, other in zip(before, after, strict=True)] == [True, True, False, False]


def test_a_model_of_tables_alone_or_of_none() -> None:
    table, kernel = (keras.Variable(np.ones((2, 2), "float32"), name=name) for name in ("embeddings", "kernel"))
    for variable in (table, kernel):
        split = Split(SGD(0.5), keras.optimizers.SGD(0.5))
        split.apply([tf.ones((2, 2))], [variable])
        np.testing.assert_array_equal(variable.numpy(), np.full((2, 2), 0.5))
        with pytest.raises(ValueError, match="No gradients provided"):
            split.apply([None], [variable])


def test_learning_rate_is_that_of_rest_and_keeps_the_proportion() -> None:
    split = Split(Adagrad(0.08), keras.optimizers.Adam(0.01))
    assert float(split.learning_rate) == pytest.approx(0.01)
    split.learning_rate = 0.005
    assert float(split.rest.learning_rate) == pytest.approx(0.005)
    assert float(split.tables.learning_rate) == pytest.approx(0.04)
    split.tables.learning_rate = 0.1
    assert (float(split.rest.learning_rate), float(split.tables.learning_rate)) == pytest.approx((0.005, 0.1))
    with pytest.raises(ValueError, match="Split: `learning_rate` must stay above 0"):
        split.learning_rate = 0.0
    scheduled = Split(Adagrad(keras.optimizers.schedules.CosineDecay(0.1, 10)), keras.optimizers.Adam(0.01))
    with pytest.raises(TypeError, match=r"Set `optimizer.tables.learning_rate` and"):
        scheduled.learning_rate = 0.1


def test_fit_with_a_callback_and_a_schedule() -> None:
    model = foreign_model()
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    model.compile(Split(Adagrad(decay), keras.optimizers.Adam(0.01)), "mse")
    model.fit(*batch(), epochs=3, verbose=0)
    assert float(model.optimizer.tables.learning_rate) == pytest.approx(0.1 * 0.5**3)
    model.compile(Split(Adagrad(0.1), keras.optimizers.Adam(0.01)), "mse")
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    history = model.fit(*batch(), epochs=3, verbose=0, callbacks=[halve]).history
    assert float(model.optimizer.tables.learning_rate) == pytest.approx(0.0125)
    assert history["loss"][-1] < history["loss"][0]


def test_a_checkpoint_restores_both_parts(tmp_path: Path) -> None:
    models = [foreign_model(), foreign_model()]
    splits = [Split(LazyAdam(0.1), keras.optimizers.Adam(0.1)) for _ in models]
    for model, split in zip(models, splits, strict=True):
        split.build(model.trainable_variables)
    splits[0].apply(gradients(models[0]))
    saved = tf.train.Checkpoint(optimizer=splits[0]).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(optimizer=splits[1]).read(saved).assert_consumed()
    for one, other in zip(splits[0].variables, splits[1].variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_saved_model_holds_every_slot_once(tmp_path: Path) -> None:
    model = foreign_model(rows=5000)
    model.compile(Split(LazyAdam(0.1), keras.optimizers.Adam(0.1)), "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    values = sum(weight.numpy().nbytes for weight in [*model.weights, *model.optimizer.variables])
    assert values <= (tmp_path / "model.keras").stat().st_size < 1.2 * values


def test_loss_scaling_around_it_changes_nothing_but_skips_what_is_not_finite() -> None:
    results = []
    for wrap in (lambda split: split, keras.optimizers.LossScaleOptimizer):
        model = foreign_model()
        optimizer = wrap(Split(Adagrad(0.1), keras.optimizers.Adam(0.01)))
        optimizer.build(model.trainable_variables)
        found = [
            tf.IndexedSlices(optimizer.scale_loss(g.values), g.indices, g.dense_shape)
            if isinstance(g, tf.IndexedSlices)
            else optimizer.scale_loss(g)
            for g in gradients(model)
        ]
        optimizer.apply(found)
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    bad = [tf.IndexedSlices(found[0].values * np.inf, found[0].indices, found[0].dense_shape), *found[1:]]
    optimizer.apply(bad)
    for one, other in zip(model.get_weights(), results[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_large_table_that_is_not_recognized_is_reported() -> None:
    def split_step(rows: int, **options: object) -> None:
        variable = keras.Variable(np.zeros((rows, 1), "float32"), name="mine")
        gradient = tf.IndexedSlices(tf.ones((1, 1)), tf.constant([1]), tf.constant([rows, 1]))
        Split(SGD(), keras.optimizers.SGD(), **options).apply([gradient], [variable])

    with pytest.warns(UserWarning, match="the weight 'mine' of 20000 rows has a sparse gradient"):
        split_step(20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split_step(20)
        split_step(20_000, select=["mine"])


def test_averages_of_rest_are_written_at_the_end() -> None:
    model = foreign_model()
    split = Split(Adagrad(0.1), keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5))
    split.build(model.trainable_variables)
    for seed in range(3):
        split.apply(gradients(model, seed))
    before = model.get_weights()
    split.finalize_variable_values(model.trainable_variables)
    after = model.get_weights()
    assert [np.array_equal(one, other) for one, other in zip(before, after, strict=True)] == [True, True, False, False]


def test_errors_are_explained() -> None:
    adam = keras.optimizers.Adam()
    with pytest.raises(TypeError, match=r"Split: `rest` must be a Keras optimizer\. Received: rest='adam'"):
        Split(SGD(), "adam")
    with pytest.raises(ValueError, match="Split: `rest` must be another object than `tables`"):
        Split(adam, adam)
    with pytest.raises(ValueError, match="Split: `rest` must not scale the loss"):
        Split(SGD(), keras.optimizers.LossScaleOptimizer(adam))
    with pytest.raises(ValueError, match="Split: `rest` must not scale the loss"):
        Split(SGD(), keras.optimizers.Adam(loss_scale_factor=8.0))
    text = "Split: `rest.gradient_accumulation_steps` must accumulate over as many steps as `tables`, None"
    with pytest.raises(ValueError, match=text):
        Split(SGD(), keras.optimizers.Adam(gradient_accumulation_steps=2))
    with pytest.raises(TypeError, match=r"Split: `select` must be a sequence of strings\. Received: select='items'"):
        Split(SGD(), adam, select="items")
    text = "Split: `select` must hold a part of some weight's path. Received: select=('itms',). The weights are ['"
    with pytest.raises(ValueError, match=re.escape(text)):
        Split(SGD(), adam, select=["itms"]).build(foreign_model().trainable_variables)
    with pytest.raises(ValueError, match="Split: `trainable_variables` must be given"):
        Split(SGD(), adam).apply([tf.ones(2)])


def test_parts_that_accumulate_over_the_same_steps_wait_together() -> None:
    tables, rest = (keras.optimizers.SGD(0.1, gradient_accumulation_steps=2) for _ in range(2))
    optimizer, model = Split(tables, rest), foreign_model()
    optimizer.build(model.trainable_variables)
    moved = []
    for _ in range(2):
        before = [weight.numpy() for weight in model.trainable_variables]
        optimizer.apply([tf.ones(weight.shape) for weight in model.trainable_variables])
        moved.append([bool(np.any(old != w.numpy())) for old, w in zip(before, model.trainable_variables, strict=True)])
    assert not any(moved[0])
    assert all(moved[1])


def peak_megabytes(optimizer: keras.optimizers.Optimizer) -> float:
    """How far memory rises in a step on a model of a 64 MB table."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,), dtype="int32")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(1_000_000, 16)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(pooled))
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(ids: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(ids) - labels))
        optimizer.apply(tape.gradient(loss, model.trainable_variables))

    def memory(field: str) -> float:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1e3

    peaks = []
    for seed in range(8):
        ids, labels = map(tf.constant, batch(seed))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts again from here
        level = memory("VmRSS")
        step(ids, labels)
        peaks.append(memory("VmHWM") - level)
    # Not the maximum: the first step gives variables memory of their own, and a thread that is held up between reading
    # the table and letting go of it may cost another a copy.
    return statistics.median(peaks)


def part_of(optimizer_class: type[RowOptimizer]) -> Split:
    return Split(optimizer_class(), keras.optimizers.Adam())


OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "SGD": lambda: part_of(SGD),
    "LazyAdam": lambda: part_of(LazyAdam),
    "Adam": keras.optimizers.Adam,
}


@pytest.fixture(scope="module")
def peaks() -> dict[str, float]:
    """`peak_megabytes` of all, in a process without oneDNN, which on some processors keeps freed memory to itself."""
    command = [sys.executable, "-m", "tests.unit.optimizers.test_split"]
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[3], env=environment, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.process
@pytest.mark.parametrize("name", ["SGD", "LazyAdam"])
def test_no_step_copies_the_table(peaks: dict[str, float], name: str) -> None:
    assert peaks[name] < 20


@pytest.mark.process
def test_the_check_of_copies_finds_those_of_keras_adam(peaks: dict[str, float]) -> None:
    assert peaks["Adam"] > 60


if __name__ == "__main__":
    print(json.dumps({name: peak_megabytes(make()) for name, make in OPTIMIZERS.items()}))
