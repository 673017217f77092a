"""Refinement and the bottoms: references, exact identities, and which task's weights reach whom."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.support import numpy_reference
from tests.support.layer_checks import randomize_weights
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.bottom.task_refinement import TaskRefinement
from tfmtl.layers.sequence.mean_pooling import MeanPooling

TASKS, FIELDS, BEHAVIORS, LENGTH, WIDTH, BATCH = 3, 3, 2, 4, 6, 5
RANDOM = np.random.default_rng(0)
COUNTS = RANDOM.integers(0, LENGTH + 1, size=(BATCH, BEHAVIORS))
INPUTS = {
    "fields": RANDOM.normal(size=(BATCH, FIELDS, WIDTH)).astype("float32"),
    "events": RANDOM.normal(size=(BATCH, BEHAVIORS, LENGTH, WIDTH)).astype("float32"),
    "event_mask": np.arange(LENGTH) < COUNTS[..., None],
    "queries": RANDOM.normal(size=(BATCH, BEHAVIORS, WIDTH)).astype("float32"),
}
ALONE = {"fields": INPUTS["fields"]}
GATES = {
    "2sigmoid": lambda logits: 2.0 * numpy_reference.sigmoid(logits),
    "sigmoid": numpy_reference.sigmoid,
    "relu": numpy_reference.relu,
    "identity": lambda logits: logits,
}


def stacked_fields(streams: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(BATCH, streams, FIELDS, WIDTH)).astype("float32")


def refinement(inputs: np.ndarray, **arguments) -> TaskRefinement:
    layer = TaskRefinement(TASKS, **arguments)
    layer.build(inputs.shape)
    randomize_weights(layer)
    return layer


def refinement_weights(layer: TaskRefinement) -> list[dict[str, np.ndarray]]:
    names = ("reduce", "reduce_bias", "excite", "excite_bias")
    values = (layer.reduce.kernel, layer.reduce.bias, layer.excite.kernel, layer.excite.bias)
    return [{name: value.numpy()[k] for name, value in zip(names, values, strict=True)} for k in range(TASKS)]


def bottom(inputs=INPUTS, *, randomized: bool = True, **arguments) -> DTRNBottom:
    layer = DTRNBottom(TASKS, **arguments)
    layer.build({key: (None, *value.shape[1:]) for key, value in inputs.items()})
    if randomized:
        randomize_weights(layer)
    return layer


@pytest.mark.parametrize("streams", [1, TASKS])
@pytest.mark.parametrize("squeeze", ["mean", "flatten"])
@pytest.mark.parametrize("gate", list(GATES))
def test_refinement_equals_the_reference(streams: int, squeeze: str, gate: str) -> None:
    inputs = stacked_fields(streams)
    layer = refinement(inputs, squeeze=squeeze, gate=gate, reduction=1)
    own = np.broadcast_to(inputs, (BATCH, TASKS, FIELDS, WIDTH))
    expected = GATES[gate](numpy_reference.refinement_weights(own, refinement_weights(layer), squeeze))
    np.testing.assert_allclose(layer.field_weights(inputs), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer(inputs), own * expected[..., None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("streams", [1, TASKS])
def test_refinement_returns_its_input_exactly_when_off_or_with_zero_logits(streams: int) -> None:
    inputs = stacked_fields(streams)
    expected = np.broadcast_to(inputs, (BATCH, TASKS, FIELDS, WIDTH))
    off = refinement(inputs, gate="off")
    assert off.weights == []
    zero = refinement(inputs)
    for weight in zero.excite.weights:
        weight.assign(tf.zeros(weight.shape))
    for layer in (off, zero):
        np.testing.assert_array_equal(layer(inputs), expected)
        np.testing.assert_array_equal(layer.field_weights(inputs), np.ones((BATCH, TASKS, FIELDS)))


def test_relu_gate_is_never_negative_and_removes_a_field_exactly() -> None:
    inputs = stacked_fields(TASKS)
    layer = refinement(inputs, gate="relu")
    weights = layer.field_weights(inputs).numpy()
    assert np.all(weights >= 0.0)
    assert 0 < np.count_nonzero(weights == 0.0) < weights.size
    np.testing.assert_array_equal(layer(inputs).numpy()[weights == 0.0], 0.0)


def test_gates_bound_the_weights() -> None:
    inputs = 100.0 * stacked_fields(1)
    for gate, highest in (("sigmoid", 1.0), ("2sigmoid", 2.0)):
        weights = refinement(inputs, gate=gate).field_weights(inputs).numpy()
        assert np.all(weights >= 0.0)
        assert np.all(weights <= highest)
        assert np.max(weights) > 0.99 * highest


def test_permuted_fields_give_permuted_results_only_with_permuted_weights() -> None:
    inputs, order = stacked_fields(1), [2, 0, 1]
    layer = refinement(inputs, reduction=1)
    expected = layer(inputs).numpy()[:, :, order]
    assert np.any(np.abs(layer(inputs[:, :, order]) - expected) > 1e-2)
    layer.reduce.kernel.assign(layer.reduce.kernel.numpy()[:, order])
    layer.excite.kernel.assign(layer.excite.kernel.numpy()[:, :, order])
    layer.excite.bias.assign(layer.excite.bias.numpy()[:, order])
    np.testing.assert_allclose(layer(inputs[:, :, order]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("squeeze", "seen"), [("mean", FIELDS), ("flatten", FIELDS * WIDTH)])
@pytest.mark.parametrize(("reduction", "bottleneck"), [(1, 3), (2, 1), (50, 1)])
def test_refinement_costs_two_small_layers_a_task(squeeze: str, seen: int, reduction: int, bottleneck: int) -> None:
    layer = refinement(stacked_fields(1), squeeze=squeeze, reduction=reduction)
    a_task = seen * bottleneck + bottleneck + bottleneck * FIELDS + FIELDS
    assert layer.count_params() == TASKS * a_task


def test_tasks_start_with_different_weights_for_the_same_fields() -> None:
    inputs = stacked_fields(1)
    layer = TaskRefinement(TASKS)
    weights = layer(inputs).numpy()
    for one, other in itertools.combinations(range(TASKS), 2):
        assert np.any(weights[:, one] != weights[:, other])


@pytest.mark.parametrize("pooling", ["mean", "target"])
def test_shared_representation_is_the_fields_and_the_pooled_sequences(pooling: str) -> None:
    layer = ConcatenationBottom(pooling)
    result = layer(INPUTS).numpy()
    expected = np.concatenate([INPUTS["fields"], layer.pool(INPUTS)], axis=1).reshape(BATCH, 1, -1)
    np.testing.assert_array_equal(result, expected)
    if pooling == "mean":
        np.testing.assert_array_equal(layer.pool(INPUTS), MeanPooling()(INPUTS))


@pytest.mark.parametrize("layer", [ConcatenationBottom(), ConcatenationBottom("target")])
def test_shared_representation_without_sequences_is_the_fields(layer) -> None:
    np.testing.assert_array_equal(layer(ALONE), INPUTS["fields"].reshape(BATCH, 1, -1))
    assert layer.weights == []


@pytest.mark.parametrize(
    "arguments", [{}, {"pooling": "target", "num_layers": 2}, {"squeeze": "flatten", "gate": "relu"}]
)
def test_dtrn_is_refinement_of_fields_and_interests(arguments) -> None:
    layer = bottom(**arguments)
    fields = np.broadcast_to(INPUTS["fields"][:, None], (BATCH, TASKS, FIELDS, WIDTH))
    vectors = np.concatenate([fields, layer.interests(INPUTS)], axis=2)
    weights = layer.field_weights(INPUTS).numpy()
    np.testing.assert_array_equal(weights, layer.refinement.field_weights(vectors))
    expected = (vectors * weights[..., None]).reshape(BATCH, TASKS, (FIELDS + BEHAVIORS) * WIDTH)
    np.testing.assert_array_equal(layer(INPUTS), expected)


def test_dtrn_without_sequences_is_refinement_alone() -> None:
    layer = bottom(ALONE)
    assert layer.count_params() == layer.refinement.count_params()
    expected = layer.refinement(INPUTS["fields"][:, None]).numpy().reshape(BATCH, TASKS, -1)
    np.testing.assert_array_equal(layer(ALONE), expected)


def test_without_both_modules_all_tasks_see_the_same() -> None:
    layer = bottom(encoder="shared", gate="off")
    result = layer(INPUTS).numpy()
    for task in range(1, TASKS):
        np.testing.assert_array_equal(result[:, task], result[:, 0])
    np.testing.assert_array_equal(result[:, 0, : FIELDS * WIDTH], INPUTS["fields"].reshape(BATCH, -1))
    assert layer.interests.num_tasks == 1


def test_each_module_alone_tells_the_tasks_apart() -> None:
    for arguments in ({"encoder": "shared"}, {"gate": "off"}):
        result = bottom(randomized=False, **arguments)(INPUTS).numpy()
        for one, other in itertools.combinations(range(TASKS), 2):
            assert np.any(result[:, one] != result[:, other])


@pytest.mark.parametrize("task", range(TASKS))
def test_a_task_learns_from_its_own_representation_alone(task: int) -> None:
    layer = bottom(num_layers=2)
    own = [layer.interests.hypernetwork.task_embeddings, *layer.refinement.trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(INPUTS)[:, task] ** 2)
    others = [other for other in range(TASKS) if other != task]
    for gradient in tape.gradient(loss, [weight.value for weight in own]):
        gradient = tf.convert_to_tensor(gradient).numpy()
        np.testing.assert_array_equal(gradient[others], 0.0)
        assert np.any(gradient[task] != 0.0)


def test_a_task_more_costs_an_embedding_and_a_refinement() -> None:
    def count(num_tasks: int) -> int:
        layer = DTRNBottom(num_tasks, task_dim=7)
        layer.build({key: value.shape for key, value in INPUTS.items()})
        return layer.count_params()

    vectors = FIELDS + BEHAVIORS
    bottleneck = vectors // 2
    refined = vectors * bottleneck + bottleneck + bottleneck * vectors + vectors
    assert count(TASKS + 1) - count(TASKS) == 7 + refined


def test_bad_arguments_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"TaskRefinement: `gate` must be one of .*Did you mean 'identity'\?"):
        TaskRefinement(2, gate="identiti")
    with pytest.raises(ValueError, match=r"TaskRefinement: `squeeze` must be one of \['mean', 'flatten'\]"):
        TaskRefinement(2, squeeze="max")
    with pytest.raises(ValueError, match="TaskRefinement: `reduction` must be a positive int"):
        TaskRefinement(2, reduction=0)
    with pytest.raises(ValueError, match=r"TaskRefinement: `inputs.shape` must have size 1 or 3 on axis 1"):
        TaskRefinement(3).build((None, 2, FIELDS, WIDTH))
    with pytest.raises(ValueError, match=r"`inputs.shape` must be \(B, S, F, D\) with all but the first known"):
        TaskRefinement(3).build((None, FIELDS, WIDTH))
    with pytest.raises(ValueError, match="DTRNBottom: `gate` must be one of"):
        DTRNBottom(2, gate="on")
    with pytest.raises(ValueError, match="DTRNBottom: `num_heads` must be a positive int"):
        DTRNBottom(2, num_heads=0)
    with pytest.raises(ValueError, match=r"DTRNBottom: `encoder` must be one of .*Did you mean 'hyper'\?"):
        DTRNBottom(2, encoder="hypr")
    with pytest.raises(ValueError, match="DTRNBottom: `behavior_dim` must be positive where `task_dim` is 0"):
        DTRNBottom(2, task_dim=0, behavior_dim=0)
    with pytest.raises(ValueError, match="DTRNBottom: `task_dim` must be an int of at least 0"):
        DTRNBottom(2, task_dim=-1)
    with pytest.raises(ValueError, match="ConcatenationBottom: `pooling` must be one of"):
        ConcatenationBottom("max")
    shapes = {key: value.shape for key, value in INPUTS.items()}
    for layer in (DTRNBottom(2), ConcatenationBottom()):
        name = type(layer).__name__
        with pytest.raises(ValueError, match=f"{name}: `inputs` must be a dict with the keys \\['fields'\\]"):
            layer.build({"events": shapes["events"]})
        with pytest.raises(ValueError, match=f"{name}: `events.shape` must have the fields' width 8"):
            layer.build({**shapes, "fields": (None, FIELDS, 8)})
