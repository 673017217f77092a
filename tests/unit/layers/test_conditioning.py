"""What a hypernetwork generates besides norms: adapters and low-rank changes of a Transformer's matrices."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.support import numpy_reference
from tests.support.layer_checks import randomize_weights
from tests.unit.layers.test_hyper_sequence_encoder import (
    BATCH,
    BEHAVIORS,
    COUNTS,
    INPUTS,
    MASK,
    SHAPES,
    TASKS,
    WIDTH,
    count,
    encoder,
    hypernetwork_weights,
    layer_weights,
)
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.sequence.generated_factors import GeneratedFactors
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder

RANK = 3
SITES = ("value", "output", "expansion", "contraction")
RICHER = ("adapter", "low_rank")


def factors_of(layer: HyperSequenceEncoder) -> list[np.ndarray]:
    """Everything that is generated besides norms, from the embeddings and the generators' weights alone."""
    tasks = layer.hypernetwork.task_embeddings.numpy()
    behaviors = layer.hypernetwork.behavior_embeddings.numpy()
    made = []
    parts = ("down", "up", "bias") if layer.conditioning == "adapter" else ("down", "up")
    places = itertools.product(layer.factors.sites, parts)
    for (site, part), generator in zip(places, layer.factors.generators, strict=True):
        shape = {"down": (site[0], RANK), "up": (RANK, site[1]), "bias": (RANK,)}[part]
        values = [
            [np.reshape(np.concatenate([task, behavior]) @ generator.kernel.numpy(), shape) for behavior in behaviors]
            for task in tasks
        ]
        made.append(np.array(values))
    return made


def expected_interests(layer: HyperSequenceEncoder) -> np.ndarray:
    """Mean pooling of an ordinary Transformer with the matrices of each pair, loop by loop."""
    layers = layer_weights(layer)
    scale, shift = numpy_reference.hypernetwork(hypernetwork_weights(layer.hypernetwork), 2 * len(layers), WIDTH)
    positions = layer.positions.position_embeddings.numpy()
    made = factors_of(layer)
    result = np.zeros((BATCH, TASKS, BEHAVIORS, WIDTH))
    for b, k, j in np.ndindex(BATCH, TASKS, BEHAVIORS):
        length = COUNTS[b, j]
        if not length:
            continue
        encoded = INPUTS["events"][b, j, :length] + positions[:length][::-1]
        for n, shared in enumerate(layers):
            own = dict(shared)
            if layer.conditioning == "low_rank":
                for place, site in enumerate(SITES):
                    down, up = made[8 * n + 2 * place][k, j], made[8 * n + 2 * place + 1][k, j]
                    own[site] = shared[site] + down @ up
            norms = slice(2 * n, 2 * n + 2)
            encoded = numpy_reference.transformer_layer(
                encoded, length, layer.num_heads, own, scale[k, j, norms], shift[k, j, norms]
            )
        if layer.conditioning == "adapter":
            down, up, bias = (part[k, j] for part in made)
            encoded = encoded + 0.3 * numpy_reference.relu(encoded @ down + bias) @ up
        result[b, k, j] = np.mean(encoded, axis=0)
    return result


@pytest.mark.parametrize("conditioning", RICHER)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_interests_equal_a_transformer_with_the_matrices_of_each_pair(conditioning: str, num_layers: int) -> None:
    layer = encoder(conditioning=conditioning, rank=RANK, num_layers=num_layers)
    np.testing.assert_allclose(layer(INPUTS), expected_interests(layer), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("pooling", ["mean", "target"])
@pytest.mark.parametrize("conditioning", RICHER)
def test_untrained_and_with_rank_0_it_is_the_layer_of_norms(conditioning: str, pooling: str) -> None:
    norms = encoder(randomized=False, num_layers=2, pooling=pooling)
    none = encoder(randomized=False, num_layers=2, pooling=pooling, conditioning=conditioning, rank=0)
    untrained = encoder(randomized=False, num_layers=2, pooling=pooling, conditioning=conditioning, rank=RANK)
    assert len(none.weights) == len(norms.weights)
    for layer in (none, untrained):
        # The generators come last.
        for weight, own in zip(layer.weights, norms.weights, strict=False):
            weight.assign(own)
    np.testing.assert_array_equal(none(INPUTS), norms(INPUTS))
    np.testing.assert_allclose(untrained(INPUTS), norms(INPUTS), rtol=1e-5, atol=1e-6)
    randomize_weights(untrained.factors)
    assert np.max(np.abs(untrained(INPUTS) - norms(INPUTS))) > 1e-2


@pytest.mark.parametrize("pooling", ["mean", "target"])
@pytest.mark.parametrize("conditioning", RICHER)
def test_equal_embeddings_give_equal_readings(conditioning: str, pooling: str) -> None:
    layer = encoder(conditioning=conditioning, rank=RANK, num_layers=2, pooling=pooling)
    table = layer.hypernetwork.task_embeddings.numpy()
    table[2] = table[0]
    layer.hypernetwork.task_embeddings.assign(table)
    result = layer(INPUTS).numpy()
    np.testing.assert_allclose(result[:, 2], result[:, 0], rtol=1e-5, atol=1e-5)
    assert np.max(np.abs(result[:, 1] - result[:, 0])) > 1e-2


@pytest.mark.parametrize("conditioning", RICHER)
def test_a_task_or_behavior_more_costs_its_embedding_only(conditioning: str) -> None:
    more = {"conditioning": conditioning, "pooling": "target", "task_dim": 5, "behavior_dim": 9}
    assert count(4, 3, **more) - count(3, 3, **more) == 5
    assert count(3, 4, **more) - count(3, 3, **more) == 9


def test_the_number_of_generated_parameters() -> None:
    width, pair, hidden = 64, 32, 4 * 64
    adapter = count(3, 2, conditioning="adapter", rank=RANK) - count(3, 2)
    assert adapter == pair * (2 * RANK * width + RANK)
    low_rank = count(3, 2, conditioning="low_rank", rank=RANK) - count(3, 2)
    assert low_rank == pair * RANK * (2 * 2 * width + 2 * (width + hidden))


@pytest.mark.parametrize("conditioning", RICHER)
def test_no_two_pairs_start_with_the_same_matrices(conditioning: str) -> None:
    layer = encoder(randomized=False, conditioning=conditioning, rank=RANK)
    made = layer.factors(layer.hypernetwork.pairs())
    step = 3 if conditioning == "adapter" else 2
    for down, up in zip(made[::step], made[1::step], strict=True):
        assert not np.any(up)
        for one, other in itertools.combinations(np.ndindex(TASKS, BEHAVIORS), 2):
            assert np.all(down[one] != down[other])
    for one, other in itertools.combinations(made[::step], 2):
        assert not np.array_equal(one, other)  # nor do two sites


def test_generated_entries_start_with_variance_1_over_the_width() -> None:
    pairs = np.random.default_rng(0).normal(size=(6, 5, 32)).astype("float32")
    down, _ = GeneratedFactors(rank=8, sites=[(64, 16)])(pairs)
    np.testing.assert_allclose(np.var(down), 1 / 64, rtol=0.1)


def test_the_change_of_a_matrix_has_the_rank_asked_for() -> None:
    layer = encoder(conditioning="low_rank", rank=2)
    down, up, *_ = layer.factors(layer.hypernetwork.pairs())
    changes = np.matmul(down, up)
    assert np.all(np.linalg.matrix_rank(changes, tol=1e-4) == 2)
    assert WIDTH > 2


@pytest.mark.parametrize("conditioning", RICHER)
def test_a_task_learns_from_its_own_interest_alone(conditioning: str) -> None:
    layer = encoder(conditioning=conditioning, rank=RANK, num_layers=2, pooling="target")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(INPUTS)[:, 1] ** 2)
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.hypernetwork.task_embeddings.value)).numpy()
    np.testing.assert_array_equal(gradient[[0, 2]], 0.0)
    assert np.any(gradient[1] != 0.0)


@pytest.mark.parametrize("conditioning", RICHER)
def test_tasks_look_for_different_events(conditioning: str) -> None:
    """With the same events for all tasks, only the queries' own part can tell them apart."""
    layer = encoder(conditioning=conditioning, rank=RANK, pooling="target")
    layer.hypernetwork.conditions.kernel.assign(tf.zeros_like(layer.hypernetwork.conditions.kernel))
    of_query = 3 if conditioning == "adapter" else 2
    for generator in layer.factors.generators[of_query:]:
        generator.kernel.assign(tf.zeros_like(generator.kernel))
    result = layer(INPUTS).numpy()
    assert np.max(np.abs(result[:, 1] - result[:, 0])) > 1e-2
    for generator in layer.factors.generators:
        generator.kernel.assign(tf.zeros_like(generator.kernel))
    result = layer(INPUTS).numpy()
    np.testing.assert_allclose(result[:, 1], result[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "target"])
@pytest.mark.parametrize("conditioning", RICHER)
def test_padding_does_not_matter(conditioning: str, pooling: str) -> None:
    layer = encoder(conditioning=conditioning, rank=RANK, num_layers=2, pooling=pooling)
    events = tf.Variable(np.where(MASK[..., None], INPUTS["events"], 0.0))
    with tf.GradientTape() as tape:
        result = layer({**INPUTS, "events": events})
        loss = tf.reduce_sum(result**2)
    np.testing.assert_array_equal(tape.gradient(loss, events).numpy()[~MASK], 0.0)
    poisoned = np.where(MASK[..., None], INPUTS["events"], np.float32(np.nan))
    np.testing.assert_array_equal(layer({**INPUTS, "events": poisoned}), result)
    empty = np.broadcast_to((COUNTS == 0)[:, None], result.shape[:-1])
    np.testing.assert_array_equal(result.numpy()[empty], 0.0)


@pytest.mark.parametrize("conditioning", RICHER)
def test_what_is_generated_is_generated_in_float32(conditioning: str) -> None:
    layer = HyperSequenceEncoder(TASKS, conditioning=conditioning, rank=RANK, dtype="mixed_bfloat16")
    layer.build(SHAPES)
    assert all(made.dtype == tf.float32 for made in layer.factors(layer.hypernetwork.pairs()))
    assert layer(INPUTS).dtype == tf.bfloat16


@pytest.mark.parametrize("conditioning", RICHER)
def test_one_user_and_many_candidates_are_as_many_equal_users(conditioning: str) -> None:
    layer = encoder(conditioning=conditioning, rank=RANK, pooling="target")
    one = {key: tf.constant(value[:1]) for key, value in INPUTS.items() if key != "queries"}
    many = {key: np.repeat(value[:1], BATCH, axis=0) for key, value in INPUTS.items()}
    queries = INPUTS["queries"]
    expected = layer({**many, "queries": queries})
    np.testing.assert_allclose(layer({**one, "queries": queries}), expected, rtol=1e-4, atol=1e-5)


def test_a_shared_encoder_is_conditioned_by_the_behavior_alone() -> None:
    bottom = DTRNBottom(TASKS, encoder="shared", conditioning="low_rank", rank=RANK, gate="off")
    inputs = {"fields": INPUTS["queries"], **INPUTS}
    bottom.build({"fields": SHAPES["queries"], **SHAPES})
    randomize_weights(bottom)
    result = bottom(inputs).numpy()
    np.testing.assert_array_equal(result[:, 1], result[:, 0])


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"HyperSequenceEncoder: `conditioning` must be one of .*Did you mean 'norm'"):
        HyperSequenceEncoder(3, conditioning="norms")
    with pytest.raises(ValueError, match="DTRNBottom: `rank` must be"):
        DTRNBottom(3, rank=-1)
    with pytest.raises(ValueError, match="GeneratedFactors: `rank` must be a positive int"):
        GeneratedFactors(0, [(4, 4)])
    with pytest.raises(ValueError, match=r"GeneratedFactors: `inputs\.shape` must be"):
        GeneratedFactors(2, [(4, 4)]).build((3, 4))
