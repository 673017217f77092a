"""Hashed attention against its paper's equations, and against the attention that it approaches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.numpy_reference import hashed_attention
from tfmtl.layers.sequence import target_attention
from tfmtl.layers.sequence.hashed_attention import NORMALIZATIONS, HashedAttention
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder
from tfmtl.layers.sequence.target_attention import TargetAttention

RANDOM = np.random.default_rng(0)
COUNTS = np.array([[7, 0], [2, 1], [0, 5]])
MASK = np.arange(7) < COUNTS[..., None]
INPUTS = {
    "events": RANDOM.normal(size=(3, 2, 7, 6)).astype("float32"),
    "event_mask": MASK,
    "queries": RANDOM.normal(size=(3, 2, 6)).astype("float32"),
}
SHAPES = {key: value.shape for key, value in INPUTS.items()}


def built(seed: int = 3, **arguments) -> HashedAttention:
    keras.utils.set_random_seed(seed)
    layer = HashedAttention(**arguments)
    layer.build(SHAPES)
    return layer


def one_user(count: int, length: int = 7) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A user's history in one row with the queries of several candidates, and the same with the history repeated."""
    random = np.random.default_rng(1)
    mask = np.arange(length) < np.array([[length - 1], [length // 2]])
    user = {"events": random.normal(size=(1, 2, length, 6)).astype("float32"), "event_mask": mask[None]}
    queries = random.normal(size=(count, 2, 6)).astype("float32")
    repeated = {key: np.repeat(value, count, axis=0) for key, value in user.items()}
    return {**user, "queries": queries}, {**repeated, "queries": queries}


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_equals_the_reference(normalization: str) -> None:
    layer = built(num_hashes=5, num_bits=2, normalization=normalization)
    planes = layer.hyperplanes.numpy().astype(np.float64)
    result = layer(INPUTS).numpy()
    assert np.count_nonzero(np.any(result != 0.0, axis=-1)) >= 3, "some candidate shares a value with some event"
    for b, j in np.ndindex(COUNTS.shape):
        events, query = INPUTS["events"][b, j], INPUTS["queries"][b, j]
        expected = hashed_attention(events, COUNTS[b, j], query, planes, normalization)
        np.testing.assert_allclose(result[b, j], expected, rtol=1e-5, atol=1e-6)


def test_approaches_attention_by_the_angle_as_hashes_grow() -> None:
    """The limit has the weights `(1 - angle / pi) ** bits`, over their sum; four times the hashes, half the error."""
    events, queries = (INPUTS[key].astype(np.float64) for key in ("events", "queries"))
    cosine = np.einsum("bjld,bjd->bjl", events, queries)
    cosine /= np.linalg.norm(events, axis=-1) * np.linalg.norm(queries, axis=-1)[..., None]
    weights = np.where(MASK, (1.0 - np.arccos(cosine) / np.pi) ** 2, 0.0)
    weights /= np.maximum(weights.sum(axis=-1, keepdims=True), 1e-9)
    limit = np.einsum("bjl,bjld->bjd", weights, events)
    errors = []
    for num_hashes in (16, 256, 4096, 65536):
        found = built(num_hashes=num_hashes, num_bits=2)(INPUTS).numpy()
        errors.append(np.sqrt(np.mean((found - limit) ** 2)))
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 0.02 < errors[0]


def test_more_bits_look_closer() -> None:
    """With many bits only what is nearly the query is left."""
    inputs = {"events": np.float32([[[[1.0, 0.1], [0.0, 1.0], [-1.0, 0.0]]]]), "queries": np.float32([[[1.0, 0.0]]])}
    inputs["event_mask"] = np.ones((1, 1, 3), bool)
    near = []
    for num_bits in (1, 3, 8):
        keras.utils.set_random_seed(0)
        near.append(HashedAttention(512, num_bits)(inputs).numpy()[0, 0])
    near_share = [vector[0] for vector in near]
    assert near_share[0] < near_share[1] < near_share[2]
    np.testing.assert_allclose(near[2], [1.0, 0.1], atol=0.05)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("poison", [7.0, np.nan])
def test_padding_changes_no_bit_and_gets_no_gradient(normalization: str, poison: float) -> None:
    layer = built(normalization=normalization)
    expected = layer(INPUTS).numpy()
    np.testing.assert_array_equal(expected[COUNTS == 0], 0.0)
    events = tf.Variable(np.where(MASK[..., None], INPUTS["events"], np.float32(poison)))
    with tf.GradientTape() as tape:
        result = layer({**INPUTS, "events": events})
        loss = tf.reduce_sum(result**2)
    np.testing.assert_array_equal(result, expected)
    gradient = tape.gradient(loss, events).numpy()
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[~MASK], 0.0)
    assert np.any(gradient[MASK] != 0.0)


def test_an_event_of_zeros_gets_no_huge_gradient() -> None:
    """Values never seen in training have the zero vector; a norm's gradient has no value there."""
    layer = built(normalization="l2")
    zeros = tf.Variable(np.zeros_like(INPUTS["events"]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer({**INPUTS, "events": zeros, "queries": np.zeros((3, 2, 6), "float32")}))
    np.testing.assert_array_equal(tape.gradient(loss, zeros), 0.0)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_sums_made_once_for_a_user_give_every_candidate_the_same(normalization: str) -> None:
    layer = built(normalization=normalization)
    shared, repeated = one_user(9)
    found = layer(shared).numpy()
    np.testing.assert_allclose(found, layer(repeated), rtol=1e-5, atol=1e-6)
    poisoned = np.where(shared["event_mask"][..., None], shared["events"], np.float32(np.nan))
    np.testing.assert_array_equal(layer({**shared, "events": poisoned}), found)
    none = {**shared, "event_mask": np.zeros((1, 2, 7), bool)}
    np.testing.assert_array_equal(layer(none), np.zeros((9, 2, 6)))


def largest_tensor(layer, inputs: dict[str, np.ndarray], rows: int) -> int:
    """Entries of the largest tensor in the layer's graph, with `rows` for an unknown size."""

    @tf.function(autograph=False)
    def call(tensors: dict[str, tf.Tensor]) -> tf.Tensor:
        return layer(tensors)

    specs = {
        key: tf.TensorSpec((1 if value.shape[0] == 1 else None, *value.shape[1:]), value.dtype)
        for key, value in inputs.items()
    }
    graph = call.get_concrete_function(specs).graph.as_graph_def(add_shapes=True)
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    shapes = [shape for node in nodes for shape in node.attr["_output_shapes"].list.shape if not shape.unknown_rank]
    return max(int(np.prod([rows if each.size < 0 else each.size for each in shape.dim])) for shape in shapes)


@pytest.mark.parametrize(("make", "width"), [(lambda: HashedAttention(4, 2), 1), (TargetAttention, 32)])
def test_many_candidates_and_a_long_history_need_no_wide_product(
    make, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tensor of (N, J, L, width): there are numbers for every candidate and event, and wide ones for a block."""
    shared, repeated = one_user(4, length=600)
    layer = make()
    layer.build({key: value.shape for key, value in repeated.items()})
    np.testing.assert_allclose(layer(shared), layer(repeated), rtol=1e-4, atol=1e-6)
    candidates = 500
    assert largest_tensor(layer, shared, candidates) <= candidates * 2 * 256 * max(3, width)
    monkeypatch.setattr(target_attention, "_BLOCK", 1000)  # all events in one
    wide = shared if make is TargetAttention else repeated
    assert largest_tensor(layer, wide, candidates) >= candidates * 2 * 600 * max(4, width), "sees what is wide"


def test_a_query_that_cannot_learn_gets_nothing_to_learn() -> None:
    shapes = {"events": (None, 2, 7, 6), "event_mask": (None, 2, 7), "queries": (None, 2, 6)}
    sites = {}
    for pooling in ("target", "sdim"):
        layer = HyperSequenceEncoder(2, pooling=pooling, conditioning="adapter", rank=1)
        layer.build(shapes)
        sites[pooling] = layer.factors.sites
    assert len(sites["target"]) == len(sites["sdim"]) + 1


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="HashedAttention: `num_hashes` must be"):
        HashedAttention(0)
    with pytest.raises(ValueError, match="HashedAttention: `num_bits` must be at most 8"):
        HashedAttention(num_bits=9)
    with pytest.raises(ValueError, match="HashedAttention: `normalization` must be one of"):
        HashedAttention(normalization="softmax")
    with pytest.raises(ValueError, match=r"Add \['queries'\]"):
        HashedAttention().build({key: SHAPES[key] for key in ("events", "event_mask")})
