"""Conversion chains and information transfer against NumPy, and what a parent and a child may do to each other."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.numpy_reference import relu, sigmoid, softmax
from tfmtl.layers.heads.conversion_chain import ConversionChain
from tfmtl.layers.heads.information_transfer import InformationTransfer

CHAIN, TREE, FOREST = (None, 0, 1), (2, None, 1, 1), (None, 0, None, 2)
EXTREMES = np.float32([-80.0, -40.0, -9.0, -1.0, 0.0, 1e-3, 1.0, 9.0, 40.0, 80.0])


def path_of(task: int, parents) -> list[int]:
    path = [task]
    while parents[path[-1]] is not None:
        path.append(parents[path[-1]])
    return path


def marginal_logits(logits: np.ndarray, parents) -> np.ndarray:
    """`log P - log(1 - P)` with `log P` the sum of `log sigmoid` over the path, in float64."""
    logits, result = np.asarray(logits, np.float64), np.zeros(logits.shape)
    for row in range(len(logits)):
        for task, parent in enumerate(parents):
            log_marginal = -sum(np.logaddexp(0.0, -logits[row, step]) for step in path_of(task, parents))
            result[row, task] = logits[row, task] if parent is None else log_marginal - log_complement(log_marginal)
    return result


def log_complement(log_probability: float) -> float:
    """`log(1 - e^x)` for x < 0, by whichever of the two forms does not cancel."""
    if log_probability > -np.log(2.0):
        return float(np.log(-np.expm1(log_probability)))
    return float(np.log1p(-np.exp(log_probability)))


def random_logits(parents, rows: int = 40, scale: float = 3.0) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=scale, size=(rows, len(parents))).astype("float32")


def extreme_logits() -> np.ndarray:
    """Every triple of `EXTREMES`."""
    return np.stack(np.meshgrid(EXTREMES, EXTREMES, EXTREMES), axis=-1).reshape(-1, 3)


@pytest.mark.parametrize("parents", [CHAIN, TREE, FOREST, (1, 2, 3, None)])
def test_chain_equals_the_reference(parents) -> None:
    logits = random_logits(parents)
    result = ConversionChain(parents)(logits)
    np.testing.assert_allclose(result, marginal_logits(logits, parents), rtol=1e-5, atol=1e-6)
    probabilities = np.stack(
        [np.prod(sigmoid(logits[:, path_of(task, parents)]), axis=1) for task in range(len(parents))], axis=1
    )
    np.testing.assert_allclose(sigmoid(result), probabilities, rtol=1e-5)


def test_chain_of_extreme_logits_equals_the_reference() -> None:
    logits = extreme_logits()
    np.testing.assert_allclose(ConversionChain(CHAIN)(logits), marginal_logits(logits, CHAIN), rtol=1e-6, atol=1e-5)


def test_chain_gradients_of_extreme_logits_equal_the_reference() -> None:
    """d logit(P_k) / d l_i = (1 - p_i) / (1 - P_k) along the path, in float64 from complements that do not cancel."""
    logits = extreme_logits()
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        result = ConversionChain(CHAIN)(variable)
        loss = tf.reduce_sum(result[:, 2])
    gradient = tape.gradient(loss, variable).numpy()
    log_off = -np.logaddexp(0.0, logits.astype("float64"))  # log(1 - p)
    log_marginal = -np.logaddexp(0.0, -logits.astype("float64")).sum(axis=1)
    log_off_marginal = np.array([log_complement(value) for value in log_marginal])
    assert np.all(np.isfinite(gradient))
    np.testing.assert_allclose(gradient, np.exp(log_off - log_off_marginal[:, None]), rtol=1e-4, atol=1e-30)


@pytest.mark.parametrize("parents", [CHAIN, TREE, FOREST])
def test_tasks_without_a_parent_keep_their_logit(parents) -> None:
    logits = random_logits(parents)
    result = ConversionChain(parents)(logits).numpy()
    for task, parent in enumerate(parents):
        assert np.array_equal(result[:, task], logits[:, task]) == (parent is None)
    np.testing.assert_array_equal(ConversionChain((None, None))(logits[:, :2]), logits[:, :2])


@pytest.mark.parametrize("parents", [CHAIN, (2, None, 1)])
def test_no_task_exceeds_its_parent(parents) -> None:
    """Exactly, rounding included: also where both are near 0 or near 1."""
    near = np.random.default_rng(1).normal(scale=20.0, size=(2000, 3)).astype("float32")
    for logits in (extreme_logits(), near, near * 1e30):
        result = ConversionChain(parents)(logits).numpy()
        assert np.all(np.isfinite(result[np.abs(logits).max(axis=1) < 1e30]))
        for task, parent in enumerate(parents):
            if parent is not None:
                assert np.all(result[:, task] <= result[:, parent])
                assert np.all(result[:, task] <= logits[:, task])


def test_two_steps_are_the_product_of_esmm_with_its_gradients() -> None:
    logits = random_logits((None, 0))
    variable = tf.Variable(logits)
    with tf.GradientTape(persistent=True) as tape:
        both = tf.sigmoid(ConversionChain((None, 0))(variable))
        first, second = tf.reduce_sum(both[:, 0]), tf.reduce_sum(both[:, 1])
    click, conversion = sigmoid(logits[:, 0]), sigmoid(logits[:, 1])
    np.testing.assert_allclose(both[:, 1], click * conversion, rtol=1e-5)
    gradient = tape.gradient(second, variable).numpy()
    # What the step's logit learns is scaled by how likely the step's parent is.
    np.testing.assert_allclose(gradient[:, 1], click * conversion * (1.0 - conversion), rtol=1e-4)
    np.testing.assert_allclose(gradient[:, 0], conversion * click * (1.0 - click), rtol=1e-4)
    np.testing.assert_array_equal(tape.gradient(first, variable).numpy()[:, 1], 0.0)


def test_the_order_of_tasks_does_not_matter() -> None:
    logits, order = random_logits(TREE), [3, 0, 2, 1]
    renamed = tuple(None if TREE[task] is None else order.index(TREE[task]) for task in order)
    expected = ConversionChain(TREE)(logits).numpy()[:, order]
    np.testing.assert_array_equal(ConversionChain(renamed)(logits[:, order]), expected)


def test_chain_stays_in_float32_under_mixed_precision() -> None:
    logits = random_logits(CHAIN)
    result = ConversionChain(CHAIN, dtype="mixed_bfloat16")(logits)
    assert result.dtype == "float32"
    np.testing.assert_array_equal(result, ConversionChain(CHAIN)(logits))


# === Information transfer ===

WIDTH, BATCH = 4, 6
TOWERS = np.random.default_rng(2).normal(size=(BATCH, 4, WIDTH)).astype("float32")
TREES = pytest.mark.parametrize("parents", [(None, 0, 1, 2), TREE, FOREST, (None,) * 4])


def built(parents, **kwargs) -> InformationTransfer:
    layer = InformationTransfer(parents, **kwargs)
    layer.build(TOWERS.shape)
    randomize_weights(layer)
    return layer


def weights_by_task(layer: InformationTransfer) -> dict[int, tuple[np.ndarray, ...]]:
    """Task -> transfer kernel and bias, query, key and value kernel."""
    found, parents = {}, layer.parents
    depths = [len(path_of(task, parents)) - 1 for task in range(len(parents))]
    for depth, (transfer, projection) in enumerate(zip(layer.transfers, layer.projections, strict=True), start=1):
        for place, task in enumerate([task for task, own in enumerate(depths) if own == depth]):
            kernel = projection.kernel.numpy()[place].reshape(WIDTH, 3, WIDTH)
            matrices = (kernel[:, index] for index in range(3))
            found[task] = (transfer.kernel.numpy()[place], transfer.bias.numpy()[place], *matrices)
    return found


def reference(layer: InformationTransfer, towers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Representations `(B, T, H)` and weights `(B, T, 2)`, one loop for every index, in float64."""
    own_weights, parents = weights_by_task(layer), layer.parents
    towers, mixing = np.array(towers, np.float64), np.zeros((*towers.shape[:2], 2))
    outputs = np.array(towers)
    for row in range(len(towers)):
        for task in sorted(range(len(parents)), key=lambda task: len(path_of(task, parents))):
            if parents[task] is None:
                mixing[row, task] = [1.0, 0.0]
                continue
            transfer, bias, query, key, value = own_weights[task]
            entries = [towers[row, task], relu(outputs[row, parents[task]] @ transfer + bias)]
            scores = np.array([(entry @ key) @ (entry @ query) / np.sqrt(WIDTH) for entry in entries])
            mixing[row, task] = softmax(scores)
            outputs[row, task] = mixing[row, task] @ np.stack([entry @ value for entry in entries])
    return outputs, mixing


@TREES
def test_transfer_equals_the_reference(parents) -> None:
    layer = built(parents)
    outputs, mixing = reference(layer, TOWERS)
    np.testing.assert_allclose(layer(TOWERS), outputs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.transfer_weights(TOWERS), mixing, rtol=1e-4, atol=1e-6)


@TREES
def test_transfer_weights_sum_to_one(parents) -> None:
    weights = built(parents).transfer_weights(TOWERS).numpy()
    assert np.all(weights >= 0.0)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-6)


@TREES
def test_a_task_sees_its_own_tower_and_those_before_it_alone(parents) -> None:
    layer = built(parents)
    expected = layer(TOWERS).numpy()
    for task in range(4):
        other = TOWERS.copy()
        other[:, task] += 1.0
        changed = np.any(layer(other).numpy() != expected, axis=(0, 2))
        np.testing.assert_array_equal(changed, [task in path_of(later, parents) for later in range(4)])


@TREES
def test_a_task_without_a_parent_keeps_its_representation_whatever_the_weights(parents) -> None:
    layer = built(parents)
    roots = [task for task, parent in enumerate(parents) if parent is None]
    for seed in (1, 2):
        randomize_weights(layer, seed)
        np.testing.assert_array_equal(layer(TOWERS).numpy()[:, roots], TOWERS[:, roots])


def test_weights_learn_from_their_task_and_those_after_it_alone() -> None:
    layer = built((None, 0, 1, 2))
    for task in range(4):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(TOWERS)[:, task] ** 2)
        weights = [level.kernel.value for level in (*layer.transfers, *layer.projections)]
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        learns = [bool(np.any(gradient.numpy() != 0.0)) for gradient in gradients]
        assert learns == [task >= 1, task >= 2, task >= 3] * 2


def test_the_order_of_tasks_does_not_matter_to_transfer() -> None:
    chain, renamed, order = built((None, 0, 1, 2)), built((2, 3, None, 0)), [1, 3, 0, 2]
    renamed.set_weights(chain.get_weights())
    places = [order.index(task) for task in range(4)]
    assert places == [2, 0, 3, 1]
    np.testing.assert_allclose(renamed(TOWERS[:, order]).numpy(), chain(TOWERS).numpy()[:, order], rtol=1e-6, atol=1e-6)


def test_queries_keys_and_values_start_in_the_range_of_square_glorot() -> None:
    layer = InformationTransfer((None, 0, 0))
    layer.build((None, 3, 64))
    kernel = layer.projections[0].kernel.numpy()
    limit = np.sqrt(6.0 / (64 + 64))
    assert 0.98 * limit < np.abs(kernel).max() <= limit
    assert np.std(kernel) == pytest.approx(limit / np.sqrt(3.0), rel=0.02)


def test_dropout_drops_what_is_told_and_nothing_else() -> None:
    layer = built((None, 0, 1, 2), dropout=0.9)
    trained, served = layer(TOWERS, training=True).numpy(), layer(TOWERS, training=False).numpy()
    np.testing.assert_array_equal(trained[:, 0], served[:, 0])
    assert np.any(trained[:, 1] != served[:, 1])
    np.testing.assert_array_equal(served, built((None, 0, 1, 2))(TOWERS))


def test_bad_arguments_and_shapes_are_refused() -> None:
    for layer_class, letters in ((ConversionChain, (None, 2)), (InformationTransfer, (None, 2, WIDTH))):
        name = layer_class.__name__
        for parents, text in (
            ((1, 0), "`parents` must form no cycle. Received: parents=(1, 0). Cut it: 0 -> 1 -> 0."),
            ((None, 2), "`parents` must name tasks from 0 to 1. Received: parents=(None, 2)."),
        ):
            with pytest.raises(ValueError, match=f"^{name}: {re.escape(text)}"):
                layer_class(parents)
        with pytest.raises(TypeError, match=f"^{name}: `parents` must be a non-empty sequence"):
            layer_class(None)
        with pytest.raises(ValueError, match=f"^{name}: `inputs.shape` must have size 3 on axis 1"):
            layer_class(CHAIN).build(letters)
        with pytest.raises(ValueError, match=f"^{name}: `inputs.shape` must be "):
            layer_class(CHAIN).build((None,))
    with pytest.raises(ValueError, match=r"^InformationTransfer: `dropout` must lie in \[0, 1\)"):
        InformationTransfer(CHAIN, dropout=1.0)
