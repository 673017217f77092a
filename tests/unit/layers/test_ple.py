"""CGC and PLE: references, who learns from whom, and what they become with few experts."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.numpy_reference import mlp, softmax
from tfmtl.layers.dense.stacked_mlp import StackedMLP
from tfmtl.layers.sharing.cgc import CGC
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.ple import PLE
from tfmtl.layers.sharing.shared_network import SharedNetwork

TASKS, WIDTH, BATCH = 3, 5, 6
INPUTS = {
    name: np.random.default_rng(streams).normal(size=(BATCH, streams, WIDTH)).astype("float32")
    for name, streams in (("one", 1), ("own", TASKS), ("own_and_shared", TASKS + 1))
}
ALL = pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)


def built(layer, inputs: np.ndarray):
    layer.build(inputs.shape)
    randomize_weights(layer)
    return layer


def networks(layer: StackedMLP | None) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    if layer is None:
        return []
    return [
        [(dense.kernel.numpy()[stack], dense.bias.numpy()[stack]) for dense in layer.dense_layers]
        for stack in range(layer.num_stacks)
    ]


def mixed(gate: np.ndarray, x: np.ndarray, outputs: list[np.ndarray]) -> np.ndarray:
    return softmax(x @ gate) @ np.stack(outputs)


def reference(layer: CGC, inputs: np.ndarray) -> np.ndarray:
    """One level on `(B, S, H)`, one loop for every index."""
    specific, shared = networks(layer.specific_experts), networks(layer.shared_experts.experts)
    own_experts = [specific[k * len(specific) // TASKS : (k + 1) * len(specific) // TASKS] for k in range(TASKS)]
    gates = layer.task_gate.logits.kernel.numpy()
    rows = []
    for row in np.asarray(inputs, np.float64):
        streams = [row[0 if len(row) == 1 else k] for k in range(TASKS)]
        common = row[-1] if len(row) == TASKS + 1 else np.mean(row, axis=0)
        specific_outputs = [[mlp(streams[k], expert) for expert in own_experts[k]] for k in range(TASKS)]
        results = []
        for k in range(TASKS):
            read = streams[k] if len(row) == TASKS else common
            results.append(mixed(gates[k], streams[k], specific_outputs[k] + [mlp(read, expert) for expert in shared]))
        if layer.use_shared_gate:
            experts = [output for outputs in specific_outputs for output in outputs] + [
                mlp(common, expert) for expert in shared
            ]
            results.append(mixed(layer.shared_gate.logits.kernel.numpy()[0], common, experts))
        rows.append(results)
    return np.array(rows)


@ALL
@pytest.mark.parametrize("use_shared_gate", [False, True])
@pytest.mark.parametrize("num_specific", [0, 1, 2])
def test_cgc_equals_the_reference(inputs: np.ndarray, use_shared_gate: bool, num_specific: int) -> None:
    layer = built(CGC(TASKS, num_specific, 2, (7, 2), use_shared_gate=use_shared_gate), inputs)
    result = layer(inputs)
    assert result.shape == (BATCH, TASKS + use_shared_gate, 2)
    np.testing.assert_allclose(result, reference(layer, inputs), rtol=1e-4, atol=1e-5)


@ALL
def test_ple_is_its_levels_one_after_the_other(inputs: np.ndarray) -> None:
    layer = built(PLE(TASKS, 3, 2, 2, (7, 4)), inputs)
    assert [level.use_shared_gate for level in layer.levels] == [True, True, False]
    expected = inputs
    for level in layer.levels:
        expected = reference(level, expected)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-4, atol=1e-4)


@ALL
def test_ple_of_one_level_is_cgc(inputs: np.ndarray) -> None:
    stacked, single = built(PLE(TASKS, 1, 2, 2, (7, 2)), inputs), built(CGC(TASKS, 2, 2, (7, 2)), inputs)
    single.set_weights(stacked.get_weights())
    np.testing.assert_array_equal(stacked(inputs), single(inputs))


@pytest.mark.parametrize("inputs", [INPUTS["one"], INPUTS["own"]], ids=["one", "own"])
def test_cgc_without_specific_experts_is_mmoe(inputs: np.ndarray) -> None:
    level, mixture = built(CGC(TASKS, 0, 4, (7, 2)), inputs), built(MMoE(TASKS, 4, (7, 2)), inputs)
    level.shared_experts.set_weights(mixture.experts.get_weights())
    level.task_gate.set_weights(mixture.gate.get_weights())
    np.testing.assert_array_equal(level(inputs), mixture(inputs))
    assert level.count_params() == mixture.count_params()


def test_cgc_with_one_shared_expert_alone_is_shared_bottom() -> None:
    level, shared = CGC(TASKS, 0, 1, (7, 2)), SharedNetwork(TASKS, (7, 2))
    for layer in (level, shared):
        built(layer, INPUTS["one"])
    level.shared_experts.set_weights(shared.network.get_weights())
    # Two units in the last place: without AVX-512 TensorFlow divides by a softmax's sum approximately.
    np.testing.assert_allclose(level(INPUTS["one"]), shared(INPUTS["one"]), rtol=2**-22)


@ALL
def test_gate_rows_are_distributions(inputs: np.ndarray) -> None:
    layer = built(CGC(TASKS, 2, 3, (7, 2), use_shared_gate=True), inputs)
    own = inputs[:, :TASKS]
    weights = layer.task_gate(own).numpy()
    assert weights.shape == (BATCH, TASKS, 2 + 3)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-6)
    shared = layer.shared_gate(inputs[:, -1:]).numpy()
    assert shared.shape == (BATCH, 1, TASKS * 2 + 3)
    np.testing.assert_allclose(shared.sum(axis=-1), 1.0, rtol=1e-6)


def gradients_of_task(layer, inputs: np.ndarray, task: int, weights: list) -> list[np.ndarray]:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs)[:, task] ** 2)
    return [tf.convert_to_tensor(value).numpy() for value in tape.gradient(loss, [weight.value for weight in weights])]


@ALL
@pytest.mark.parametrize("num_levels", [1, 2])
def test_in_the_last_level_specific_experts_learn_from_their_task_alone(inputs: np.ndarray, num_levels: int) -> None:
    layer = built(PLE(TASKS, num_levels, 2, 1, (7, 2), "tanh"), inputs)
    last = layer.levels[-1]
    for task in range(TASKS):
        for gradient in gradients_of_task(layer, inputs, task, last.specific_experts.trainable_weights):
            learns = np.any(gradient.reshape(TASKS, 2, -1) != 0.0, axis=(1, 2))
            np.testing.assert_array_equal(learns, np.arange(TASKS) == task)
        [gate] = gradients_of_task(layer, inputs, task, last.task_gate.trainable_weights)
        np.testing.assert_array_equal(np.any(gate != 0.0, axis=(1, 2)), np.arange(TASKS) == task)


def test_in_an_earlier_level_specific_experts_learn_from_all_tasks() -> None:
    """By way of the shared stream."""
    layer = built(PLE(TASKS, 2, 2, 1, (7, 2), "tanh"), INPUTS["one"])
    for gradient in gradients_of_task(layer, INPUTS["one"], 1, layer.levels[0].specific_experts.trainable_weights):
        assert np.all(np.any(gradient.reshape(TASKS, 2, -1) != 0.0, axis=(1, 2)))


def changed_streams(layer: CGC, inputs: np.ndarray, stream: int) -> np.ndarray:
    other = inputs.copy()
    other[:, stream] += 1.0
    return np.any(layer(other).numpy() != layer(inputs).numpy(), axis=(0, 2))


def test_a_task_does_not_see_the_representations_of_others() -> None:
    inputs = INPUTS["own"]
    layer = built(CGC(TASKS, 1, 2, (7, 2), "tanh", use_shared_gate=True), inputs)
    np.testing.assert_array_equal(changed_streams(layer, inputs, 1), [False, True, False, True])


def test_all_tasks_see_the_shared_representation() -> None:
    inputs = INPUTS["own_and_shared"]
    layer = built(CGC(TASKS, 1, 2, (7, 2), "tanh", use_shared_gate=True), inputs)
    np.testing.assert_array_equal(changed_streams(layer, inputs, TASKS), [True, True, True, True])
    np.testing.assert_array_equal(changed_streams(layer, inputs, 1), [False, True, False, True])


@ALL
def test_permuting_experts_with_their_gate_columns_changes_nothing(inputs: np.ndarray) -> None:
    layer = built(CGC(TASKS, 2, 3, (7, 2), use_shared_gate=True), inputs)
    expected = layer(inputs).numpy()
    # The two experts of every task change places, and the shared ones turn by one.
    specific, shared = [1, 0, 3, 2, 5, 4], [2, 0, 1]
    layer.specific_experts.set_weights([weight[specific] for weight in layer.specific_experts.get_weights()])
    layer.shared_experts.set_weights([weight[shared] for weight in layer.shared_experts.get_weights()])
    assert np.any(np.abs(layer(inputs).numpy() - expected) > 1e-2)
    own_columns = [1, 0, *(2 + index for index in shared)]
    all_columns = [*specific, *(6 + index for index in shared)]
    layer.task_gate.set_weights([weight[:, :, own_columns] for weight in layer.task_gate.get_weights()])
    layer.shared_gate.set_weights([weight[:, :, all_columns] for weight in layer.shared_gate.get_weights()])
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("streams", [1, 2])
def test_a_single_task_is_taken(streams: int) -> None:
    """There one representation is both that of all tasks and that of each."""
    inputs = INPUTS["own"][:, :streams]
    for layer in (CGC(1, 2, 2, (7, 2), use_shared_gate=True), PLE(1, 2, 2, 2, (7, 2))):
        assert layer(inputs).shape == (BATCH, layer.compute_output_shape(inputs.shape)[1], 2)
    level = built(CGC(1, 0, 1, (7, 2), use_shared_gate=True), inputs)
    [network] = networks(level.shared_experts.experts)
    expected = mlp(inputs[:, -1], network)
    for stream in range(2):
        np.testing.assert_allclose(level(inputs)[:, stream], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer_class", [CGC, PLE])
def test_bad_arguments_and_shapes_are_refused(layer_class: type) -> None:
    cases = [
        (ValueError, {"num_tasks": 0}, "`num_tasks` must be a positive int. Received: num_tasks=0"),
        (ValueError, {"num_specific_experts": -1}, "`num_specific_experts` must be an int of at least 0. Received: "),
        (TypeError, {"num_specific_experts": 1.0}, "`num_specific_experts` must be an int of at least 0. Received: "),
        (ValueError, {"num_shared_experts": 0}, "`num_shared_experts` must be a positive int. Received: "),
        (TypeError, {"hidden_units": 64}, "`hidden_units` must be a non-empty sequence of positive ints"),
        (ValueError, {"dropout": 1.0}, "`dropout` must lie in [0, 1)"),
        *([(TypeError, {"use_shared_gate": "yes"}, "`use_shared_gate` must be a bool")] if layer_class is CGC else []),
        *([(ValueError, {"num_levels": 0}, "`num_levels` must be a positive int")] if layer_class is PLE else []),
    ]
    for error, arguments, text in cases:
        with pytest.raises(error, match=f"^{layer_class.__name__}: {re.escape(text)}"):
            layer_class(**{"num_tasks": 3, **arguments})
    for shape, text in (
        ((None, WIDTH), "`inputs.shape` must be (B, S, H) with all but the first known"),
        ((None, 2, WIDTH), "`inputs.shape` must have size 1 or 3 or 4 on axis 1"),
        ((None, 5, WIDTH), "`inputs.shape` must have size 1 or 3 or 4 on axis 1"),
    ):
        with pytest.raises(ValueError, match=f"^{layer_class.__name__}: {re.escape(text)}"):
            layer_class(3).build(shape)
