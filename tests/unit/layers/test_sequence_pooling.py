"""Mean pooling and target attention against references, with padding that must not matter."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.numpy_reference import target_attention
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.sequence.counted_pooling import CountedPooling
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder
from tfmtl.layers.sequence.mean_pooling import MeanPooling
from tfmtl.layers.sequence.pair_sequence_encoder import PairSequenceEncoder
from tfmtl.layers.sequence.pooling import pooling_layer
from tfmtl.layers.sequence.target_attention import TargetAttention

RANDOM = np.random.default_rng(0)
COUNTS = np.array([[4, 0], [2, 1], [0, 3]])
MASK = np.arange(4) < COUNTS[..., None]
INPUTS = {
    "events": RANDOM.normal(size=(3, 2, 4, 6)).astype("float32"),
    "event_mask": MASK,
    "queries": RANDOM.normal(size=(3, 2, 6)).astype("float32"),
}
SHAPES = {key: value.shape for key, value in INPUTS.items()}


def attention(**arguments) -> TargetAttention:
    layer = TargetAttention(**arguments)
    layer.build(SHAPES)
    randomize_weights(layer)
    return layer


def test_mean_pooling() -> None:
    result = MeanPooling()({key: INPUTS[key] for key in ("events", "event_mask")}).numpy()
    for b, j in np.ndindex(COUNTS.shape):
        count = COUNTS[b, j]
        expected = np.mean(INPUTS["events"][b, j, :count], axis=0) if count else np.zeros(6)
        np.testing.assert_allclose(result[b, j], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("use_softmax", [True, False])
def test_target_attention_equals_the_reference(use_softmax: bool) -> None:
    layer = attention(hidden_units=(5,), use_softmax=use_softmax)
    weights = {
        "hidden": layer.kernel.numpy(),
        "hidden_bias": layer.bias.numpy(),
        "score": layer.score.kernel.numpy()[:, 0],
        "score_bias": 0.0 if use_softmax else layer.score.bias.numpy()[0],
    }
    result = layer(INPUTS).numpy()
    for b, j in np.ndindex(COUNTS.shape):
        expected = target_attention(INPUTS["events"][b, j], COUNTS[b, j], INPUTS["queries"][b, j], weights, use_softmax)
        np.testing.assert_allclose(result[b, j], expected, rtol=1e-4, atol=1e-5)


def test_with_softmax_the_result_lies_between_the_events() -> None:
    result = attention()(INPUTS).numpy()
    for b, j in zip(*np.nonzero(COUNTS), strict=True):
        events = INPUTS["events"][b, j, : COUNTS[b, j]]
        assert np.all(result[b, j] >= events.min(axis=0) - 1e-5)
        assert np.all(result[b, j] <= events.max(axis=0) + 1e-5)
    np.testing.assert_allclose(result[1, 1], INPUTS["events"][1, 1, 0], rtol=1e-5)  # one event


@pytest.mark.parametrize("layer", [MeanPooling(), attention(), attention(use_softmax=False)])
@pytest.mark.parametrize("poison", [7.0, np.nan])
def test_padding_and_the_order_of_events_do_not_matter(layer, poison: float) -> None:
    expected = layer(INPUTS).numpy()
    np.testing.assert_array_equal(expected[COUNTS == 0], 0.0)
    poisoned = {**INPUTS, "events": np.where(MASK[..., None], INPUTS["events"], np.float32(poison))}
    np.testing.assert_array_equal(layer(poisoned), expected)
    reversed_events = {**INPUTS, "events": INPUTS["events"][:, :, ::-1], "event_mask": MASK[:, :, ::-1]}
    np.testing.assert_allclose(layer(reversed_events), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", [MeanPooling(), attention(), attention(use_softmax=False)])
def test_no_gradient_reaches_padding(layer) -> None:
    events = tf.Variable(INPUTS["events"])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer({**INPUTS, "events": events}) ** 2)
    gradient = tape.gradient(loss, events).numpy()
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[~MASK], 0.0)
    assert np.all(np.any(gradient[MASK] != 0.0, axis=-1))


def test_query_decides_what_counts() -> None:
    layer = attention()
    other = {**INPUTS, "queries": -INPUTS["queries"]}
    changed = np.any(layer(INPUTS) != layer(other), axis=-1)
    np.testing.assert_array_equal(changed, COUNTS > 1)


def test_pooling_by_name() -> None:
    policy = MeanPooling(dtype="mixed_bfloat16").dtype_policy
    assert type(pooling_layer("mean", policy)) is MeanPooling
    target = pooling_layer("target", policy)
    assert type(target) is TargetAttention
    assert target.compute_dtype == "bfloat16"


def test_bad_inputs_are_refused_at_build() -> None:
    with pytest.raises(ValueError, match=r"TargetAttention: `inputs` must be a dict .* Add \['queries'\]"):
        TargetAttention().build({key: SHAPES[key] for key in ("events", "event_mask")})
    with pytest.raises(ValueError, match=r"MeanPooling: `event_mask.shape` must have shape \(B, 2, 4\)"):
        MeanPooling().build({**SHAPES, "event_mask": (3, 2, 5)})
    with pytest.raises(ValueError, match=r"TargetAttention: `queries.shape` must have shape \(B, 2, 6\)"):
        TargetAttention().build({**SHAPES, "queries": (3, 2, 5)})
    with pytest.raises(ValueError, match=r"`events.shape` must be \(B, J, L, D\) with all but the first known"):
        MeanPooling().build({**SHAPES, "events": (3, 2, None, 6)})
    with pytest.raises(TypeError, match="TargetAttention: `use_softmax` must be a bool"):
        TargetAttention(use_softmax=1)
    with pytest.raises(ValueError, match="TargetAttention: `hidden_units` must be a non-empty sequence"):
        TargetAttention(hidden_units=())


@pytest.mark.parametrize("inner", ["mean", "target"])
def test_a_counted_pooling_starts_as_the_plain_one_and_can_tell_lengths_apart(inner: str) -> None:
    layer, plain = CountedPooling(inner), pooling_layer(inner, keras.DTypePolicy("float32"))
    layer.build(SHAPES)
    plain.build(SHAPES)
    for weight, own in zip(layer.inner.weights, plain.weights, strict=True):
        weight.assign(own)
    np.testing.assert_array_equal(layer(INPUTS), plain(INPUTS))
    direction = np.arange(6.0, dtype="float32")
    layer.count_kernel.assign(direction)
    added = layer(INPUTS).numpy() - plain(INPUTS).numpy()
    np.testing.assert_allclose(added, np.log1p(COUNTS)[..., None] * direction, rtol=1e-5, atol=1e-5)


def test_a_history_of_one_event_and_of_many_like_it_differ_only_where_events_are_counted() -> None:
    event = np.ones((1, 1, 1, 3), "float32")
    histories = [
        {"events": np.repeat(event, 4, axis=2), "event_mask": np.arange(4)[None, None] < length} for length in (1, 4)
    ]
    plain, counted = MeanPooling(), CountedPooling("mean")
    counted.build({key: value.shape for key, value in histories[0].items()})
    counted.count_kernel.assign(np.ones(3))
    np.testing.assert_array_equal(plain(histories[0]), plain(histories[1]))
    assert np.all(counted(histories[0]).numpy() < counted(histories[1]).numpy())


@pytest.mark.parametrize("pooling", ["mean_count", "target_count"])
def test_every_encoder_counts_if_asked(pooling: str) -> None:
    for make in (HyperSequenceEncoder, PairSequenceEncoder):
        layer = make(2, pooling=pooling)
        layer.build({"events": (3, 2, 4, 6), "event_mask": (3, 2, 4), "queries": (3, 2, 6)})
        before = layer(INPUTS).numpy()
        layer.pool.count_kernel.assign(np.ones(6))
        added = np.broadcast_to(np.log1p(COUNTS)[:, None, :, None], before.shape)
        np.testing.assert_allclose(layer(INPUTS).numpy() - before, added, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="Add \\['queries'\\]"):
        ConcatenationBottom("target_count").build(
            {"fields": (3, 2, 6), **{k: SHAPES[k] for k in INPUTS if k != "queries"}}
        )
