"""Experts, gates, sharing and towers: references and the identities between the architectures."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.numpy_reference import mixture, mlp
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.layers.experts.expert_bank import ExpertBank
from tfmtl.layers.gates.softmax_gate import SoftmaxGate
from tfmtl.layers.heads.tower_bank import TowerBank
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.shared_network import SharedNetwork
from tfmtl.layers.sharing.single_task import SingleTask

TASKS, EXPERTS, WIDTH, BATCH = 3, 4, 5, 6
SHARED = np.random.default_rng(0).normal(size=(BATCH, 1, WIDTH)).astype("float32")
OWN = np.random.default_rng(1).normal(size=(BATCH, TASKS, WIDTH)).astype("float32")
BOTH = pytest.mark.parametrize("inputs", [SHARED, OWN], ids=["shared", "own"])


def built(layer, inputs: np.ndarray):
    layer.build(inputs.shape)
    randomize_weights(layer)
    return layer


def networks(layer: StackedMLP) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    return [
        [(dense.kernel.numpy()[stack], dense.bias.numpy()[stack]) for dense in layer.dense_layers]
        for stack in range(layer.num_stacks)
    ]


def of_each_task(inputs: np.ndarray) -> np.ndarray:
    return np.broadcast_to(inputs, (BATCH, TASKS, WIDTH))


@BOTH
def test_expert_bank_equals_the_reference(inputs: np.ndarray) -> None:
    layer = built(ExpertBank(EXPERTS, (7, 2)), inputs)
    result = layer(inputs)
    assert result.shape == (BATCH, inputs.shape[1], EXPERTS, 2)
    for index, expert in enumerate(networks(layer.experts)):
        np.testing.assert_allclose(result[:, :, index], mlp(inputs, expert), rtol=1e-4, atol=1e-5)


@BOTH
def test_gate_rows_are_distributions(inputs: np.ndarray) -> None:
    layer = built(SoftmaxGate(TASKS, EXPERTS), inputs)
    weights = layer(inputs).numpy()
    assert np.all(weights > 0.0)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-6)
    logits = np.einsum("bth,the->bte", of_each_task(inputs), layer.logits.kernel.numpy())
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(weights, expected, rtol=1e-4)


def test_gate_has_no_bias() -> None:
    layer = built(SoftmaxGate(TASKS, EXPERTS), SHARED)
    assert layer.count_params() == TASKS * WIDTH * EXPERTS
    # Two units in the last place: without AVX-512 TensorFlow divides by a softmax's sum approximately.
    np.testing.assert_allclose(layer(np.zeros_like(SHARED)), np.full((BATCH, TASKS, EXPERTS), 0.25), rtol=2**-22)


def test_gate_normalizes_in_float32_under_mixed_precision() -> None:
    many = 200
    layer = SoftmaxGate(TASKS, many, dtype="mixed_bfloat16")
    weights = tf.cast(layer(SHARED), "float32").numpy()
    # Rounding each weight to bfloat16 leaves errors that mostly cancel; rounding the sum would not.
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=2**-8)


@BOTH
def test_mmoe_equals_the_reference(inputs: np.ndarray) -> None:
    layer = built(MMoE(TASKS, EXPERTS, (7, 2)), inputs)
    expected = mixture(of_each_task(inputs), networks(layer.experts.experts), layer.gate.logits.kernel.numpy())
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-4, atol=1e-5)


@BOTH
def test_mmoe_with_one_expert_is_shared_bottom(inputs: np.ndarray) -> None:
    mixed, shared = built(MMoE(TASKS, 1, (7, 2)), inputs), built(SharedNetwork(TASKS, (7, 2)), inputs)
    mixed.experts.set_weights(shared.network.get_weights())
    # Two units in the last place: without AVX-512 TensorFlow divides by a softmax's sum approximately.
    np.testing.assert_allclose(mixed(inputs), shared(inputs), rtol=2**-22)


@BOTH
def test_permuting_experts_with_their_gate_columns_changes_nothing(inputs: np.ndarray) -> None:
    layer, order = built(MMoE(TASKS, EXPERTS, (7, 2)), inputs), [2, 0, 3, 1]
    expected = layer(inputs)
    layer.experts.set_weights([weight[order] for weight in layer.experts.get_weights()])
    assert np.any(np.abs(layer(inputs) - expected) > 1e-2)
    layer.gate.set_weights([weight[:, :, order] for weight in layer.gate.get_weights()])
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-5, atol=1e-5)


def test_equal_gates_give_all_tasks_the_same() -> None:
    layer = built(MMoE(TASKS, EXPERTS, (7, 2)), SHARED)
    [kernel] = layer.gate.get_weights()
    layer.gate.set_weights([np.repeat(kernel[:1], TASKS, axis=0)])
    result = layer(SHARED).numpy()
    for task in range(1, TASKS):
        np.testing.assert_allclose(result[:, task], result[:, 0], rtol=1e-6)


@BOTH
def test_mmoe_result_lies_between_its_experts(inputs: np.ndarray) -> None:
    layer = built(MMoE(TASKS, EXPERTS, (7, 2)), inputs)
    result, outputs = layer(inputs).numpy(), layer.experts(inputs).numpy()
    assert np.all(result <= outputs.max(axis=2) + 1e-5)
    assert np.all(result >= outputs.min(axis=2) - 1e-5)


@BOTH
def test_single_task_is_a_network_for_each_task(inputs: np.ndarray) -> None:
    layer = built(SingleTask(TASKS, (7, 2)), inputs)
    result = layer(inputs)
    for task, network in enumerate(networks(layer.networks)):
        np.testing.assert_allclose(result[:, task], mlp(of_each_task(inputs)[:, task], network), rtol=1e-4, atol=1e-5)


@BOTH
def test_shared_bottom_is_one_network_for_all_tasks(inputs: np.ndarray) -> None:
    layer = built(SharedNetwork(TASKS, (7, 2)), inputs)
    [network] = networks(layer.network.experts)
    np.testing.assert_allclose(layer(inputs), mlp(of_each_task(inputs), network), rtol=1e-4, atol=1e-5)
    assert layer.count_params() == (WIDTH + 1) * 7 + (7 + 1) * 2


def test_tower_bank_is_a_network_for_each_task() -> None:
    layer = built(TowerBank(TASKS, (7, 2)), OWN)
    result = layer(OWN)
    for task, network in enumerate(networks(layer.towers)):
        np.testing.assert_allclose(result[:, task], mlp(OWN[:, task], network), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "own"),
    [
        (SingleTask(TASKS, (7, 2), "tanh"), lambda layer: layer.trainable_weights),
        (TowerBank(TASKS, (7, 2), "tanh"), lambda layer: layer.trainable_weights),
        (MMoE(TASKS, EXPERTS, (7, 2), "tanh"), lambda layer: layer.gate.trainable_weights),
    ],
    ids=["SingleTask", "TowerBank", "MMoE gates"],
)
def test_private_weights_learn_from_their_task_alone(layer, own) -> None:
    built(layer, OWN)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(OWN)[:, 1] ** 2)
    for gradient in tape.gradient(loss, [weight.value for weight in own(layer)]):
        np.testing.assert_array_equal(gradient.numpy()[[0, 2]], 0.0)
        assert np.any(gradient.numpy()[1] != 0.0)


@pytest.mark.parametrize(
    "layer", [SingleTask(TASKS, (7, 2)), SharedNetwork(TASKS, (7, 2)), MMoE(TASKS, EXPERTS, (7, 2))]
)
def test_a_task_with_its_own_input_does_not_see_the_others(layer) -> None:
    built(layer, OWN)
    other = OWN.copy()
    other[:, 1] += 1.0
    changed = np.any(layer(other).numpy() != layer(OWN).numpy(), axis=(0, 2))
    np.testing.assert_array_equal(changed, [False, True, False])


@pytest.mark.parametrize("layer", [SingleTask(TASKS), MMoE(TASKS), TowerBank(TASKS), ExpertBank(EXPERTS)])
def test_siblings_start_different_on_the_same_input(layer) -> None:
    result = layer(np.repeat(SHARED, TASKS, axis=1)).numpy()
    siblings = result[:, 0] if isinstance(layer, ExpertBank) else result
    for one, other in itertools.combinations(range(siblings.shape[1]), 2):
        assert np.any(siblings[:, one] != siblings[:, other])


@pytest.mark.parametrize("layer_class", [SingleTask, SharedNetwork, MMoE, TowerBank])
def test_bad_arguments_and_shapes_are_refused(layer_class: type) -> None:
    name = layer_class.__name__
    with pytest.raises(ValueError, match=f"{name}: `num_tasks` must be a positive int. Received: num_tasks=0"):
        layer_class(0)
    with pytest.raises(TypeError, match=f"{name}: `hidden_units` must be a non-empty sequence"):
        layer_class(2, hidden_units=64)
    with pytest.raises(ValueError, match=f"{name}: `dropout` must lie in"):
        layer_class(2, dropout=1.0)
    with pytest.raises(ValueError, match=r"`inputs.shape` must be \(B, [ST], H\) with all but the first known"):
        layer_class(3).build((None, WIDTH))
    with pytest.raises(ValueError, match=r"`inputs.shape` must have size (1 or )?3 on axis 1"):
        layer_class(3).build((None, 2, WIDTH))


def test_bad_numbers_of_experts_are_refused() -> None:
    for create in (lambda: MMoE(2, 0), lambda: ExpertBank(0), lambda: SoftmaxGate(2, 0)):
        with pytest.raises(ValueError, match=r"`num_experts` must be a positive int. Received: num_experts=0"):
            create()
    with pytest.raises(ValueError, match=r"TowerBank: .* must have size 3 on axis 1"):
        TowerBank(3).build((None, 1, WIDTH))
