"""Steps towards flat minima, against weights moved and put back by hand with a tape for every gradient."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem
from tests.unit.models.one_step import PRESETS, assert_close, mine, step_of
from tests.unit.models.random_batch import random_batch
from tfmtl.balancing import FixedWeights, GradVac, PCGrad, UncertaintyWeights
from tfmtl.layers import ConcatenationBottom, SharedNetwork
from tfmtl.models import MultiTaskModel, load
from tfmtl.sharpness import ASAM, SAM, Sharpness

Arrays = list[np.ndarray]
RADIUS = {SAM: 0.3, ASAM: 1.5}  # large enough for the perturbation to make the better part of a step


def two_tasks() -> MultiTaskModel:
    """With two, the order in which PCGrad takes the others is no matter of chance."""
    return tiny_model(tiny_inputs(tiny_problem(tasks=tiny_problem().tasks[:2])), "mmoe")


# === The reference ===


@contextmanager
def moved(model: MultiTaskModel, changes: Arrays) -> Iterator[None]:
    """Writes the moved weights into the model, and the old ones back."""
    before = [weight.numpy() for weight in model.trainable_weights]
    for weight, old, change in zip(model.trainable_weights, before, changes, strict=True):
        weight.assign(old + change)
    yield
    for weight, old in zip(model.trainable_weights, before, strict=True):
        weight.assign(old)


def gradient(model: MultiTaskModel, factors: Sequence[float], rest: float) -> Arrays:
    """Of the tasks' weighted losses times factors, and of what layers add times `rest`; tables densely."""
    features, labels = random_batch(model.inputs)
    with tf.GradientTape() as tape:
        losses = model.task_losses(model.raw_outputs(features, training=True), labels)
        tasks = model.inputs.problem.tasks
        total = tf.add_n(
            [factor * task.weight * losses[task.name] for factor, task in zip(factors, tasks, strict=True)]
        )
        total += rest * tf.add_n([tf.zeros(()), *model.losses])
    found = tape.gradient(total, [weight.value for weight in model.trainable_weights], unconnected_gradients="zero")
    return [tf.convert_to_tensor(part).numpy() for part in found]


def perturbation(model: MultiTaskModel, sharpness: Sharpness, gradients: Arrays) -> Arrays:
    """The formulas of the papers, over the two groups of weights."""
    weights = [weight.numpy() for weight in model.trainable_weights]
    is_table = ["table_" in weight.path for weight in model.trainable_weights]
    result = [np.zeros_like(weight) for weight in weights]
    for group in (True, False):
        own = [k for k, is_mine in enumerate(mine(model)) if is_mine is group]
        own = [k for k in own if sharpness.embeddings or not is_table[k]]
        if isinstance(sharpness, ASAM):
            norm = np.sqrt(sum(np.sum((np.abs(weights[k]) * gradients[k]) ** 2) for k in own))
            moves = {k: sharpness.rho * weights[k] ** 2 * gradients[k] / (norm + 1e-12) for k in own}
        else:
            norm = np.sqrt(sum(np.sum(gradients[k] ** 2) for k in own))
            moves = {k: sharpness.rho * gradients[k] / (norm + 1e-12) for k in own}
        for k, move in moves.items():
            result[k] = move
    return result


def sam_step(model: MultiTaskModel, sharpness: Sharpness, factors: Sequence[float]) -> Arrays:
    with moved(model, perturbation(model, sharpness, gradient(model, factors, 1.0))):
        return gradient(model, factors, 1.0)


def decomposed_step(
    model: MultiTaskModel, sharpness: Sharpness, aggregate: Callable[[np.ndarray], np.ndarray]
) -> Arrays:
    """Algorithm 1 of Phan et al., with what layers add at the weights themselves."""
    eye = np.eye(len(model.inputs.problem.tasks))
    losses = [gradient(model, row, 0.0) for row in eye]
    sam = []
    for row, own in zip(eye, losses, strict=True):
        with moved(model, perturbation(model, sharpness, own)):
            sam.append(gradient(model, row, 0.0))
    shared = [k for k, is_mine in enumerate(mine(model)) if not is_mine]
    flatten = [np.concatenate([task[k].ravel() for k in shared]) for task in losses]
    flat = [np.concatenate([task[k].ravel() for k in shared]) - own for task, own in zip(sam, flatten, strict=True)]
    total = aggregate(np.stack(flatten)) + aggregate(np.stack(flat))
    step = [np.sum(parts, axis=0) for parts in zip(*sam, strict=True)]
    for k in shared:
        step[k], total = total[: step[k].size].reshape(step[k].shape), total[step[k].size :]
    added = gradient(model, [0.0] * len(eye), 1.0)
    return [one + other for one, other in zip(step, added, strict=True)]


def pcgrad_of_two(rows: np.ndarray) -> np.ndarray:
    product = rows[0] @ rows[1]
    if product >= 0.0:
        return rows.sum(axis=0)
    return sum(rows[i] - product / (rows[1 - i] @ rows[1 - i]) * rows[1 - i] for i in range(2))


# === Values ===


@pytest.mark.parametrize("embeddings", [False, True])
@pytest.mark.parametrize("method", [SAM, ASAM])
def test_sum_of_the_losses(method: type, embeddings: bool) -> None:
    model = tiny_model(tiny_inputs(), "mmoe", load_balance_weight=0.5)
    sharpness = method(RADIUS[method], embeddings=embeddings)
    expected = sam_step(model, sharpness, [1.0] * 3)
    assert_close(step_of(model, None, sharpness=sharpness), expected)
    plain = step_of(model, None)
    assert max(np.abs(one - other).max() for one, other in zip(expected, plain, strict=True)) > 0.01


def test_weighted_sum_of_the_losses() -> None:
    model = tiny_model(tiny_inputs(), "shared_bottom")
    weights = [0.5, 2.0, 3.0]
    expected = sam_step(model, SAM(0.3), weights)
    assert_close(step_of(model, FixedWeights(weights), sharpness=SAM(0.3)), expected)


@pytest.mark.parametrize("balance_at", ["parameters", "representation"])
def test_balanced_gradients_are_those_where_the_sum_is_worst(balance_at: str) -> None:
    model = two_tasks()
    changes = perturbation(model, SAM(0.3), gradient(model, [1.0, 1.0], 1.0))
    with moved(model, changes):
        expected = step_of(model, PCGrad(), balance_at=balance_at)
    assert_close(step_of(model, PCGrad(), balance_at=balance_at, sharpness=SAM(0.3)), expected)


@pytest.mark.parametrize("embeddings", [False, True])
@pytest.mark.parametrize("method", [SAM, ASAM])
@pytest.mark.parametrize("balancing", ["sum", "pcgrad"])
def test_decomposed(method: type, embeddings: bool, balancing: str) -> None:
    model = two_tasks()
    model.sharing.gate.load_balance_weight = 0.5
    sharpness = method(RADIUS[method], decomposed=True, embeddings=embeddings)
    aggregate = pcgrad_of_two if balancing == "pcgrad" else lambda rows: rows.sum(axis=0)
    expected = decomposed_step(model, sharpness, aggregate)
    found = step_of(model, PCGrad() if balancing == "pcgrad" else None, sharpness=sharpness)
    assert_close(found, expected)
    if balancing == "pcgrad":
        summed = step_of(model, None, sharpness=sharpness)
        assert max(np.abs(one - other).max() for one, other in zip(found, summed, strict=True)) > 1e-3


def test_decomposed_with_weights_of_the_losses() -> None:
    model = tiny_model(tiny_inputs(), "shared_bottom")
    sharpness = SAM(0.3, decomposed=True)
    steps = [step_of(model, FixedWeights(list(row)), sharpness=sharpness) for row in np.eye(3)]
    weighted = step_of(model, FixedWeights([0.5, 2.0, 3.0]), sharpness=sharpness)
    assert_close(weighted, [np.tensordot([0.5, 2.0, 3.0], parts, 1) for parts in zip(*steps, strict=True)])


# === Properties ===


@pytest.mark.parametrize("case", PRESETS)
def test_a_radius_of_zero_is_the_plain_step(case: str) -> None:
    preset, options = PRESETS[case]
    model = tiny_model(tiny_inputs(), preset, **options)
    plain = step_of(model, None)
    assert_close(step_of(model, None, sharpness=SAM(0.0, embeddings=True)), plain)


@pytest.mark.parametrize("balancing", ["pcgrad", "mgda", "cagrad", "imtl_g"])
def test_a_radius_of_zero_is_the_balancer_s_step(balancing: str) -> None:
    """Their flat gradients are all zero, which must not divide by it."""
    model = two_tasks()
    plain = step_of(model, balancing)
    assert_close(step_of(model, balancing, sharpness=ASAM(0.0, decomposed=True)), plain)


def test_one_task_decomposed_is_not_decomposed() -> None:
    model = tiny_model(tiny_inputs(tiny_problem(tasks=tiny_problem().tasks[:1])), "shared_bottom")
    expected = step_of(model, None, sharpness=SAM(0.3))
    assert_close(step_of(model, None, sharpness=SAM(0.3, decomposed=True)), expected)
    assert_close(expected, sam_step(model, SAM(0.3), [1.0]))


def test_a_task_without_labels_takes_no_part() -> None:
    model = two_tasks()
    missing = {"buy": tf.fill([16], np.nan)}
    for balancing in (None, PCGrad()):
        found = step_of(model, balancing, missing, sharpness=SAM(0.3, decomposed=True))
        assert_close(found, step_of(model, None, missing, sharpness=SAM(0.3)))


@pytest.mark.parametrize("decomposed", [False, True])
def test_both_passes_drop_the_same(decomposed: bool) -> None:
    steps, seeds = [], []
    for sharpness in (None, SAM(0.0, decomposed=decomposed)):
        keras.utils.set_random_seed(0)
        model = tiny_model(tiny_inputs(), "shared_bottom", dropout=0.5)
        steps.append(step_of(model, None, sharpness=sharpness))
        seeds.append([value.numpy() for value in model.non_trainable_variables if "seed" in value.path])
    assert_close(steps[1], steps[0])
    assert len(seeds[0])
    np.testing.assert_array_equal(seeds[1], seeds[0])  # the second pass is not counted


class NormalizedExperts(SharedNetwork):
    """A sharing layer whose pass changes what it knows."""

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        self.normalization = keras.layers.BatchNormalization()
        self.normalization.build(self.compute_output_shape(input_shape))

    def call(self, inputs, offset=None, training=False):
        return self.normalization(super().call(inputs, offset=offset), training=training)


@pytest.mark.parametrize("decomposed", [False, True])
def test_at_rate_zero_only_the_first_pass_leaves_a_trace(decomposed: bool) -> None:
    model = MultiTaskModel(tiny_inputs(), ConcatenationBottom(), NormalizedExperts(3, (8,)), (8,))
    model.build()
    features, labels = random_batch(model.inputs)
    start = model.get_weights()
    left = []
    for sharpness in (None, ASAM(decomposed=decomposed, embeddings=True)):
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(0.0), sharpness=sharpness, run_eagerly=True)
        model.train_on_batch(features, labels)
        left.append(model.get_weights() + [np.array(value) for value in model.get_metrics_result().values()])
    for one, other in zip(*left, strict=True):
        np.testing.assert_array_equal(one, other)
    changed = [weight.name for weight, old in zip(model.weights, start, strict=True) if np.any(weight.numpy() != old)]
    assert sorted(changed) == ["moving_mean", "moving_variance"]


@pytest.mark.parametrize("decomposed", [False, True])
def test_xla_computes_the_same(decomposed: bool) -> None:
    problem = tiny_problem()
    small = tiny_problem(features=problem.features[:2], sequences=(), tasks=problem.tasks[:2])
    model = tiny_model(tiny_inputs(small), "shared_bottom", hidden_units=(4,), tower_units=())
    sharpness = ASAM(1.5, decomposed=decomposed, embeddings=True)
    plain = step_of(model, PCGrad(), sharpness=sharpness)
    assert_close(step_of(model, PCGrad(), sharpness=sharpness, run_eagerly=False, jit_compile=True), plain)


def test_mixed_precision() -> None:
    """Rounding does to the step what it does to a plain one; how much that is depends on the processor's kernels.

    Without bins, whose shares are 0 or 1 for the most part, so that a plain step would hardly be rounded.
    """

    def rounding(sharpness: SAM | None) -> float:
        steps = []
        for policy in ("float32", "mixed_bfloat16"):
            keras.utils.set_random_seed(0)
            keras.config.set_dtype_policy(policy)
            try:
                model = tiny_model(tiny_inputs(), "shared_bottom", number_bins=0)
            finally:
                keras.config.set_dtype_policy("float32")
            steps.append(step_of(model, None, sharpness=sharpness))
        exact, rounded = (np.concatenate([part.ravel() for part in step]) for step in steps)
        return float(np.linalg.norm(rounded - exact) / np.linalg.norm(exact))

    assert 0.0 < rounding(SAM(0.3, decomposed=True, embeddings=True)) < 3.0 * rounding(None)


# === In a model ===


def test_each_history_moves_once_a_step() -> None:
    model = two_tasks()
    features, labels = random_batch(model.inputs)
    model.compile("sgd", balancing=GradVac(0.3), sharpness=SAM(decomposed=True), run_eagerly=True)
    for _ in range(2):
        model.train_on_batch(features, labels)
    losses, flat = model.balancing.variables, model.flat_balancing.variables
    assert int(losses[0].numpy()) == int(flat[0].numpy()) == 2
    assert np.abs(losses[1].numpy() - flat[1].numpy()).max() > 0.01
    for sharpness in (SAM(), None):
        model.compile("sgd", balancing=GradVac(), sharpness=sharpness, run_eagerly=True)
        model.train_on_batch(features, labels)
        assert model.flat_balancing is None
        assert int(model.balancing.variables[0].numpy()) == 1
    model.compile("sgd", balancing=UncertaintyWeights(), sharpness=SAM(), run_eagerly=True)
    model.train_on_batch(features, labels)
    assert [int(steps) for steps in model.balancing.variables[-1].numpy()] == [1, 1]


def test_saved_and_loaded_it_goes_on_as_if_nothing_had_happened(tmp_path) -> None:
    model = two_tasks()
    features, labels = random_batch(model.inputs)
    sharpness = ASAM(0.5, decomposed=True, embeddings=True)
    model.compile(keras.optimizers.SGD(0.1), balancing=GradVac(0.3), sharpness=sharpness, run_eagerly=True)
    model.train_on_batch(features, labels)
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    loaded.run_eagerly = True
    assert type(loaded.sharpness) is ASAM
    assert loaded.sharpness.get_config() == sharpness.get_config()
    for trained in (model, loaded):
        trained.train_on_batch(features, labels)
    for one, other in zip(loaded.flat_balancing.variables, model.flat_balancing.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_where_to_balance_decomposed_gradients_is_checked() -> None:
    model = two_tasks()
    with pytest.raises(ValueError, match=r"`balance_at` must be 'parameters' for decomposed.*'representation'"):
        model.compile(balancing="pcgrad", balance_at="representation", sharpness=SAM(decomposed=True))
    with pytest.raises(ValueError, match=r"`identifier` must be one of .*Received: identifier='flat'"):
        model.compile(sharpness="flat")
