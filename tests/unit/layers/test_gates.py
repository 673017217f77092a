"""The softmax gate's choice of the largest, and its loss on unequal use."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.numpy_reference import mlp, softmax
from tfmtl.layers.gates.softmax_gate import SoftmaxGate
from tfmtl.layers.sharing.mmoe import MMoE

TASKS, EXPERTS, WIDTH, BATCH = 3, 4, 5, 6
SHARED = np.random.default_rng(0).normal(size=(BATCH, 1, WIDTH)).astype("float32")
OWN = np.random.default_rng(1).normal(size=(BATCH, TASKS, WIDTH)).astype("float32")
BOTH = pytest.mark.parametrize("inputs", [SHARED, OWN], ids=["shared", "own"])


def built(layer, inputs: np.ndarray):
    layer.build(inputs.shape)
    randomize_weights(layer)
    return layer


def top_softmax(logits: np.ndarray, count: int) -> np.ndarray:
    """The softmax among the `count` largest of `(B, T, E)`, one loop for every index."""
    result = np.zeros(logits.shape)
    for b in range(logits.shape[0]):
        for k in range(logits.shape[1]):
            largest = np.argsort(-logits[b, k])[:count]
            result[b, k, largest] = softmax(logits[b, k, largest])
    return result


def logits_of(kernel: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    own = np.broadcast_to(inputs, (BATCH, TASKS, WIDTH)).astype("float64")
    return np.stack([own[:, k] @ kernel[k] for k in range(TASKS)], axis=1)


@BOTH
@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_only_the_largest_share_the_softmax(inputs: np.ndarray, top_k: int) -> None:
    layer = built(SoftmaxGate(TASKS, EXPERTS, top_k), inputs)
    weights = layer(inputs).numpy()
    np.testing.assert_array_equal(np.sum(weights != 0.0, axis=-1), top_k)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-6)
    expected = top_softmax(logits_of(layer.logits.kernel.numpy(), inputs), top_k)
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-7)


def test_all_experts_as_top_k_is_no_choice() -> None:
    chosen, plain = built(SoftmaxGate(TASKS, EXPERTS, EXPERTS), OWN), built(SoftmaxGate(TASKS, EXPERTS), OWN)
    np.testing.assert_array_equal(chosen(OWN), plain(OWN))


def test_equal_logits_choose_no_more_than_k() -> None:
    layer = built(SoftmaxGate(TASKS, EXPERTS, 2), SHARED)
    weights = layer(np.zeros_like(SHARED)).numpy()
    chosen = np.broadcast_to([0.0, 0.0, 0.5, 0.5], weights.shape)
    # Two units in the last place: without AVX-512 TensorFlow divides by a softmax's sum approximately.
    np.testing.assert_allclose(np.sort(weights, axis=-1), chosen, rtol=2**-22)


def test_experts_left_out_get_no_gradient() -> None:
    one = OWN[:1]
    layer = built(SoftmaxGate(TASKS, EXPERTS, 2), one)
    with tf.GradientTape() as tape:
        weights = layer(one)
        loss = tf.reduce_sum(weights * tf.random.normal(weights.shape))
    gradient = tape.gradient(loss, layer.logits.kernel.value).numpy()  # (T, H, E)
    np.testing.assert_array_equal(np.any(gradient != 0.0, axis=1), weights.numpy()[0] != 0.0)


@BOTH
def test_mmoe_with_top_k_mixes_the_chosen_experts(inputs: np.ndarray) -> None:
    layer = built(MMoE(TASKS, EXPERTS, (7, 2), top_k=2), inputs)
    stack = layer.experts.experts
    networks = [
        [(dense.kernel.numpy()[e], dense.bias.numpy()[e]) for dense in stack.dense_layers] for e in range(EXPERTS)
    ]
    own = np.broadcast_to(inputs, (BATCH, TASKS, WIDTH))
    outputs = np.stack([mlp(own, network) for network in networks], axis=2)  # (B, T, E, H')
    weights = top_softmax(logits_of(layer.gate.logits.kernel.numpy(), inputs), 2)
    np.testing.assert_allclose(layer(inputs), np.sum(weights[..., None] * outputs, axis=2), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.gate(inputs), weights, rtol=1e-4, atol=1e-7)


def test_permuting_experts_with_their_gate_columns_changes_nothing_under_top_k() -> None:
    layer, order = built(MMoE(TASKS, EXPERTS, (7, 2), top_k=2), OWN), [2, 0, 3, 1]
    expected = layer(OWN)
    layer.experts.set_weights([weight[order] for weight in layer.experts.get_weights()])
    assert np.any(np.abs(layer(OWN) - expected) > 1e-2)
    layer.gate.set_weights([weight[:, :, order] for weight in layer.gate.get_weights()])
    np.testing.assert_allclose(layer(OWN), expected, rtol=1e-5, atol=1e-5)


@BOTH
@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("create", [SoftmaxGate, MMoE])
def test_loss_on_unequal_use_is_that_of_the_batch(create: type, top_k: int | None, inputs: np.ndarray) -> None:
    layer = built(create(TASKS, EXPERTS, top_k=top_k, load_balance_weight=0.3), inputs)
    layer(inputs, training=True)
    [loss] = layer.losses
    gate = layer.gate if create is MMoE else layer
    use = gate(inputs).numpy().astype("float64").mean(axis=0)
    expected = 0.3 * sum(np.var(use[task]) / np.mean(use[task]) ** 2 for task in range(TASKS))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(loss) > 0.01


@pytest.mark.parametrize("jit_compile", [False, True])
def test_loss_is_added_once_for_each_training_call_in_a_graph(jit_compile: bool) -> None:
    layer = built(MMoE(TASKS, EXPERTS, (7, 2), load_balance_weight=0.3), SHARED)
    layer(SHARED, training=True)
    expected = float(layer.losses[0])

    @tf.function(jit_compile=jit_compile)
    def step(inputs):
        for _ in range(2):
            layer(inputs, training=True)
        return tf.add_n(layer.losses)

    assert float(step(tf.constant(SHARED))) == pytest.approx(expected, rel=1e-5)


def test_loss_is_zero_when_all_experts_are_used_equally() -> None:
    """Over the batch: each example may well have its favorite."""
    layer = SoftmaxGate(1, 4, load_balance_weight=1.0)
    inputs = 3.0 * np.eye(4, dtype="float32")[:, None]
    layer.build(inputs.shape)
    layer.set_weights([np.eye(4, dtype="float32")[None]])
    assert float(layer(inputs)[0, 0, 0]) > 0.8
    layer(inputs, training=True)
    assert float(layer.losses[0]) == pytest.approx(0.0, abs=1e-10)
    layer(inputs[:1].repeat(4, axis=0), training=True)
    assert float(layer.losses[0]) > 0.5


def test_loss_is_number_of_experts_less_one_when_one_does_all() -> None:
    layer = built(SoftmaxGate(TASKS, EXPERTS, top_k=1, load_balance_weight=1.0), SHARED)
    layer(SHARED[:1], training=True)
    assert float(layer.losses[0]) == pytest.approx(TASKS * (EXPERTS - 1), rel=1e-6)


def test_descent_on_the_loss_evens_the_use() -> None:
    layer = built(SoftmaxGate(TASKS, EXPERTS, load_balance_weight=1.0), OWN)
    history = []
    for _ in range(200):
        with tf.GradientTape() as tape:
            layer(OWN, training=True)
            [loss] = layer.losses
        kernel = layer.logits.kernel
        kernel.assign_sub(0.3 * tape.gradient(loss, kernel.value))
        history.append(float(loss))
    assert history[-1] < 0.02 * history[0]


def test_no_loss_without_a_weight_or_outside_training() -> None:
    for layer, training in ((SoftmaxGate(2, 3), True), (SoftmaxGate(2, 3, load_balance_weight=1.0), False)):
        layer(SHARED, training=training)
        assert layer.losses == []


def test_a_batch_without_rows_has_no_loss() -> None:
    layer = built(SoftmaxGate(TASKS, EXPERTS, load_balance_weight=1.0), SHARED)
    with tf.GradientTape() as tape:
        layer(SHARED[:0], training=True)
        [loss] = layer.losses
    assert float(loss) == 0.0
    assert np.all(np.isfinite(tape.gradient(loss, layer.logits.kernel.value)))


@pytest.mark.parametrize("create", [SoftmaxGate, MMoE])
def test_bad_arguments_are_refused(create: type) -> None:
    cases = [
        (ValueError, {"top_k": 4}, "`top_k` must be at most num_experts=3. Received: top_k=4. Use fewer"),
        (ValueError, {"top_k": 0}, "`top_k` must be a positive int. Received: top_k=0."),
        (TypeError, {"top_k": 1.0}, "`top_k` must be a positive int. Received: top_k=1.0"),
        (ValueError, {"load_balance_weight": -0.1}, "`load_balance_weight` must be at least 0. Received: "),
        (TypeError, {"load_balance_weight": "0.1"}, "`load_balance_weight` must be a finite number."),
    ]
    for error, arguments, text in cases:
        with pytest.raises(error, match=f"^{create.__name__}: {re.escape(text)}"):
            create(2, 3, **arguments)
