"""DTRN's interest module: the reference, and the properties its equations imply."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.support import numpy_reference
from tests.support.layer_checks import randomize_weights
from tfmtl.layers.sequence import transformer_rows as transformer_module
from tfmtl.layers.sequence.behavior_hypernetwork import BehaviorHypernetwork
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder
from tfmtl.layers.sequence.packed_rows import PackedRows

TASKS, BEHAVIORS, LENGTH, WIDTH, BATCH = 3, 2, 5, 4, 4
COUNTS = np.array([[5, 0], [2, 1], [0, 3], [4, 5]])
MASK = np.arange(LENGTH) < COUNTS[..., None]
RANDOM = np.random.default_rng(0)
INPUTS = {
    "events": RANDOM.normal(size=(BATCH, BEHAVIORS, LENGTH, WIDTH)).astype("float32"),
    "event_mask": MASK,
    "queries": RANDOM.normal(size=(BATCH, BEHAVIORS, WIDTH)).astype("float32"),
}
SHAPES = {key: (None, *value.shape[1:]) for key, value in INPUTS.items()}


def encoder(*, randomized: bool = True, **arguments) -> HyperSequenceEncoder:
    layer = HyperSequenceEncoder(**{"num_tasks": TASKS, **arguments})
    layer.build(SHAPES)
    if randomized:
        randomize_weights(layer)
    return layer


def hypernetwork_weights(layer: BehaviorHypernetwork) -> dict[str, np.ndarray]:
    return {
        "tasks": layer.task_embeddings.numpy(),
        "behaviors": layer.behavior_embeddings.numpy(),
        "hidden": layer.hidden.kernel.numpy(),
        "hidden_bias": layer.hidden.bias.numpy(),
        "conditions": layer.conditions.kernel.numpy(),
        "conditions_bias": layer.conditions.bias.numpy(),
    }


def layer_weights(layer: HyperSequenceEncoder) -> list[dict[str, np.ndarray]]:
    found = []
    for block in layer.blocks:
        query, key, value = block.attention.projections.kernel.numpy()
        found.append(
            {
                "query": query,
                "key": key,
                "value": value,
                "output": block.attention.output_projection.kernel.numpy(),
                "output_bias": block.attention.output_projection.bias.numpy(),
                "expansion": block.expansion.kernel.numpy(),
                "expansion_bias": block.expansion.bias.numpy(),
                "contraction": block.contraction.kernel.numpy(),
                "contraction_bias": block.contraction.bias.numpy(),
            }
        )
    return found


def expected_interests(layer: HyperSequenceEncoder, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    positions = layer.positions.position_embeddings.numpy() if layer.use_positions else None
    return numpy_reference.interests(
        INPUTS["events"], COUNTS, positions, layer.num_heads, layer_weights(layer), scale, shift
    )


def plain_norms(layer: HyperSequenceEncoder) -> None:
    """Makes every scale 1 and every shift 0."""
    layer.hypernetwork.conditions.kernel.assign(tf.zeros_like(layer.hypernetwork.conditions.kernel))
    layer.hypernetwork.conditions.bias.assign(tf.zeros_like(layer.hypernetwork.conditions.bias))


def test_hypernetwork_equals_the_reference() -> None:
    layer = BehaviorHypernetwork(TASKS, BEHAVIORS, num_sites=2, dim=WIDTH, task_dim=5, behavior_dim=3, hidden_dim=7)
    layer.build()
    randomize_weights(layer)
    expected = numpy_reference.hypernetwork(hypernetwork_weights(layer), 2, WIDTH)
    for actual, reference in zip(layer(), expected, strict=True):
        np.testing.assert_allclose(actual, reference, rtol=1e-5, atol=1e-5)


def test_hypernetwork_starts_near_a_plain_norm_and_different_for_every_pair() -> None:
    layer = BehaviorHypernetwork(num_tasks=6, num_behaviors=4, num_sites=2, dim=64)
    layer.build()
    scale, shift = (tensor.numpy() for tensor in layer())
    assert 0.0 < np.max(np.abs(scale - 1.0)) < 0.5
    assert 0.0 < np.max(np.abs(shift)) < 0.5
    for one, other in itertools.combinations(np.ndindex(6, 4), 2):
        assert np.any(scale[one] != scale[other])
        assert np.any(shift[one] != shift[other])


def test_tasks_with_equal_embeddings_get_equal_conditions() -> None:
    layer = BehaviorHypernetwork(TASKS, BEHAVIORS, num_sites=2, dim=WIDTH)
    layer.build()
    table = layer.task_embeddings.numpy()
    table[2] = table[0]
    layer.task_embeddings.assign(table)
    for tensor in layer():
        np.testing.assert_array_equal(tensor[0], tensor[2])
        assert np.any(tensor[0] != tensor[1])


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("use_positions", [True, False])
def test_interests_equal_the_reference(num_layers: int, use_positions: bool) -> None:
    layer = encoder(num_layers=num_layers, use_positions=use_positions)
    scale, shift = numpy_reference.hypernetwork(hypernetwork_weights(layer.hypernetwork), 2 * num_layers, WIDTH)
    np.testing.assert_allclose(layer(INPUTS), expected_interests(layer, scale, shift), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_with_plain_norms_it_is_one_ordinary_transformer_for_all_tasks(num_layers: int) -> None:
    layer = encoder(num_layers=num_layers)
    plain_norms(layer)
    result = layer(INPUTS).numpy()
    for task in range(1, TASKS):  # columns of one product, whose sums may be in another order
        np.testing.assert_allclose(result[:, task], result[:, 0], rtol=1e-6, atol=1e-6)
    ones = np.ones((1, BEHAVIORS, 2 * num_layers, WIDTH))
    expected = expected_interests(layer, ones, np.zeros_like(ones))
    np.testing.assert_allclose(result[:, :1], expected, rtol=1e-4, atol=1e-4)


def test_with_the_last_scale_zero_the_interest_is_the_last_shift() -> None:
    layer = encoder()
    width, sites = WIDTH, 2
    kernel, bias = layer.hypernetwork.conditions.kernel.numpy(), layer.hypernetwork.conditions.bias.numpy()
    last_scale = slice((sites - 1) * width, sites * width)
    kernel[:, last_scale], bias[last_scale] = 0.0, -1.0
    layer.hypernetwork.conditions.kernel.assign(kernel)
    layer.hypernetwork.conditions.bias.assign(bias)
    _, shift = layer.hypernetwork()
    result = layer(INPUTS).numpy()
    for b, j in zip(*np.nonzero(COUNTS), strict=True):
        np.testing.assert_allclose(result[b, :, j], shift[:, j, -1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "target"])
@pytest.mark.parametrize("poison", [7.0, np.nan])
def test_padding_does_not_matter_and_an_empty_sequence_is_zero(pooling: str, poison: float) -> None:
    layer = encoder(num_layers=2, pooling=pooling)
    expected = layer(INPUTS).numpy()
    poisoned = np.where(MASK[..., None], INPUTS["events"], np.float32(poison))
    np.testing.assert_array_equal(layer({**INPUTS, "events": poisoned}), expected)
    empty = np.broadcast_to((COUNTS == 0)[:, None], expected.shape[:-1])
    np.testing.assert_array_equal(expected[empty], 0.0)
    assert np.all(np.any(expected[~empty] != 0.0, axis=-1))


@pytest.mark.parametrize("pooling", ["mean", "target"])
def test_gradients_are_finite_and_do_not_reach_padding(pooling: str) -> None:
    layer = encoder(num_layers=2, pooling=pooling)
    events = tf.Variable(np.where(MASK[..., None], INPUTS["events"], 0.0))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer({**INPUTS, "events": events}) ** 2)
    gradients = tape.gradient(loss, [events, *(weight.value for weight in layer.trainable_weights)])
    assert all(np.all(np.isfinite(tf.convert_to_tensor(gradient))) for gradient in gradients)
    np.testing.assert_array_equal(gradients[0].numpy()[~MASK], 0.0)


@pytest.mark.parametrize("pooling", ["mean", "target"])
@pytest.mark.parametrize("use_positions", [True, False])
def test_order_matters_through_positions_alone(pooling: str, use_positions: bool) -> None:
    layer = encoder(pooling=pooling, use_positions=use_positions)
    events = INPUTS["events"].copy()
    for b, j in np.ndindex(COUNTS.shape):
        events[b, j, : COUNTS[b, j]] = events[b, j, : COUNTS[b, j]][::-1]
    difference = np.abs(layer({**INPUTS, "events": events}) - layer(INPUTS)).max(axis=(1, 3))
    if use_positions:
        np.testing.assert_array_equal(difference > 1e-3, COUNTS > 1)
    else:
        assert np.max(difference) < 1e-4


def test_positions_count_from_the_most_recent_event() -> None:
    layer = encoder()
    before = layer(INPUTS).numpy()
    table = layer.positions.position_embeddings.numpy()
    table[3] += 1.0  # the fourth event from the end: only histories of four or five have one
    layer.positions.position_embeddings.assign(table)
    changed = np.any(layer(INPUTS).numpy() != before, axis=(1, 3))
    np.testing.assert_array_equal(changed, COUNTS >= 4)


def test_the_query_matters_to_target_pooling_alone() -> None:
    other = {**INPUTS, "queries": -INPUTS["queries"]}
    mean, target = encoder(), encoder(pooling="target")
    np.testing.assert_array_equal(mean(other), mean(INPUTS))
    assert np.any(target(other) != target(INPUTS))
    without = {key: INPUTS[key] for key in ("events", "event_mask")}
    np.testing.assert_array_equal(HyperSequenceEncoder(TASKS)(without).shape, (BATCH, TASKS, BEHAVIORS, WIDTH))


def test_the_first_layers_attention_and_statistics_are_computed_once_for_all_tasks(monkeypatch) -> None:
    attended, normalized = [], []
    attend, normalize = PackedRows.attend, transformer_module._unit_variance

    def recording_attention(self, projected, *sizes):
        attended.append(projected.shape)
        return attend(self, projected, *sizes)

    def recording_norm(rows):
        normalized.append(rows.shape[1])
        return normalize(rows)

    monkeypatch.setattr(PackedRows, "attend", recording_attention)
    monkeypatch.setattr(transformer_module, "_unit_variance", recording_norm)
    encoder(num_layers=2)(INPUTS)
    assert attended == [(np.sum(COUNTS), 3 * WIDTH), (np.sum(COUNTS), TASKS * 3 * WIDTH)]
    assert normalized == [*[1, TASKS] * BEHAVIORS, *[TASKS, TASKS] * BEHAVIORS]


def count(num_tasks: int, num_behaviors: int, width: int = 64, **arguments) -> int:
    layer = HyperSequenceEncoder(num_tasks, **arguments)
    shape = (None, num_behaviors, 20)
    layer.build({"events": (*shape, width), "event_mask": shape, "queries": (None, num_behaviors, width)})
    return layer.count_params()


def test_number_of_parameters() -> None:
    width, hidden, task_dim, behavior_dim, sites = 64, 32, 16, 16, 2
    attention = 3 * width**2 + width**2 + width
    feed_forward = 2 * 4 * width**2 + 4 * width + width
    generator = (task_dim + behavior_dim) * hidden + hidden + (hidden + 1) * 2 * sites * width
    shared = attention + feed_forward + generator
    for tasks, behaviors in ((3, 4), (6, 8), (1, 1)):
        expected = shared + tasks * task_dim + behaviors * behavior_dim
        assert count(tasks, behaviors, use_positions=False) == expected
    assert count(3, 4) == count(3, 4, use_positions=False) + 20 * width


@pytest.mark.parametrize(("task_dim", "behavior_dim"), [(16, 16), (5, 9)])
def test_a_task_or_behavior_more_costs_one_embedding(task_dim: int, behavior_dim: int) -> None:
    dims = {"task_dim": task_dim, "behavior_dim": behavior_dim, "num_layers": 2}
    assert count(4, 3, **dims) - count(3, 3, **dims) == task_dim
    assert count(3, 4, **dims) - count(3, 3, **dims) == behavior_dim


def test_a_task_learns_from_its_own_interest_alone() -> None:
    layer = encoder(num_layers=2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(INPUTS)[:, 1] ** 2)
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.hypernetwork.task_embeddings.value)).numpy()
    np.testing.assert_array_equal(gradient[[0, 2]], 0.0)
    assert np.any(gradient[1] != 0.0)


def test_tasks_and_behaviors_start_with_different_interests() -> None:
    layer = encoder(randomized=False)
    alike = {**INPUTS, "events": np.repeat(INPUTS["events"][:, :1], BEHAVIORS, axis=1)}
    alike["event_mask"] = np.ones_like(MASK)
    result = layer(alike).numpy().reshape(BATCH, TASKS * BEHAVIORS, WIDTH)
    for one, other in itertools.combinations(range(TASKS * BEHAVIORS), 2):
        assert np.any(result[:, one] != result[:, other])


def test_bad_arguments_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`pooling` must be one of \['mean', 'target', .*Did you mean 'mean'\?"):
        HyperSequenceEncoder(3, pooling="men")
    with pytest.raises(ValueError, match="HyperSequenceEncoder: `num_layers` must be a positive int"):
        HyperSequenceEncoder(3, num_layers=0)
    with pytest.raises(TypeError, match="HyperSequenceEncoder: `use_positions` must be a bool"):
        HyperSequenceEncoder(3, use_positions=None)
    with pytest.raises(ValueError, match="HyperSequenceEncoder: `dropout` must lie in"):
        HyperSequenceEncoder(3, dropout=-0.5)
    with pytest.raises(ValueError, match=r"HyperSequenceEncoder: `inputs` must be a dict .* Add \['queries'\]"):
        HyperSequenceEncoder(3, pooling="target").build({key: SHAPES[key] for key in ("events", "event_mask")})
    with pytest.raises(ValueError, match="BehaviorHypernetwork: `num_sites` must be a positive int"):
        BehaviorHypernetwork(2, 2, num_sites=0, dim=4)


def test_without_task_embedding_all_tasks_have_the_same_interests_and_a_task_costs_nothing() -> None:
    layer = encoder(task_dim=0)
    result = layer(INPUTS).numpy()
    for task in range(1, TASKS):
        np.testing.assert_array_equal(result[:, task], result[:, 0])
    assert encoder(num_tasks=TASKS + 1, task_dim=0).count_params() == layer.count_params()
    assert np.any(layer.hypernetwork()[0][:, 0] != layer.hypernetwork()[0][:, 1])


def test_without_behavior_embedding_conditions_differ_by_task_alone() -> None:
    scale, shift = encoder(behavior_dim=0).hypernetwork()
    for tensor in (scale.numpy(), shift.numpy()):
        np.testing.assert_array_equal(tensor[:, 0], tensor[:, 1])
        assert np.any(tensor[0] != tensor[1])


def test_a_hypernetwork_that_knows_nothing_is_refused() -> None:
    for layer_class, arguments in (
        (HyperSequenceEncoder, {"num_tasks": 2}),
        (BehaviorHypernetwork, {"num_tasks": 2, "num_behaviors": 2, "num_sites": 2, "dim": 4}),
    ):
        with pytest.raises(ValueError, match="`behavior_dim` must be positive where `task_dim` is 0"):
            layer_class(**arguments, task_dim=0, behavior_dim=0)


def test_with_the_skip_events_are_added_to_what_is_pooled() -> None:
    plain, skip = encoder(use_positions=False), encoder(use_positions=False, use_skip=True)
    common = [weight for weight in skip.weights if weight is not skip.skip_scale]
    for weight, own in zip(common, plain.weights, strict=True):
        weight.assign(own)
    counts = np.maximum(COUNTS, 1)[..., None]
    means = np.sum(np.where(MASK[..., None], INPUTS["events"], 0.0), axis=2) / counts
    expected = means[:, None] + skip.skip_scale.numpy() * plain(INPUTS).numpy()
    np.testing.assert_allclose(skip(INPUTS), expected, rtol=1e-4, atol=1e-5)
    assert np.all(encoder(randomized=False, use_skip=True).skip_scale.numpy() == np.float32(0.1))
    with pytest.raises(TypeError, match="HyperSequenceEncoder: `use_skip` must be a bool"):
        encoder(use_skip="yes")
