"""Set Transformer's block against a reference, and what it makes: SAB, PMA and ISAB."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests.support.field_reference import set_attention
from tests.support.layer_checks import randomize_weights
from tfmtl.layers.fields.set_attention_block import SetAttentionBlock

BATCH, QUERIES, KEYS, WIDTH = 4, 3, 5, 6
RANDOM = np.random.default_rng(0)
INPUTS = {
    "queries": RANDOM.normal(size=(BATCH, QUERIES, WIDTH)).astype("float32"),
    "keys": RANDOM.normal(size=(BATCH, KEYS, WIDTH)).astype("float32"),
}
COUNTS = np.array([5, 0, 1, 3])
MASKED = {**INPUTS, "key_mask": np.arange(KEYS) < COUNTS[:, None]}
SHAPES = {key: (None, *value.shape[1:]) for key, value in INPUTS.items()}


def block(**arguments) -> SetAttentionBlock:
    layer = SetAttentionBlock(**arguments)
    layer.build(SHAPES)
    randomize_weights(layer)
    return layer


def weights_of(layer: SetAttentionBlock) -> dict[str, np.ndarray]:
    weights = {
        "query": layer.query.kernel,
        "query_bias": layer.query.bias,
        "key": layer.key.kernel,
        "value": layer.value.kernel,
        "value_bias": layer.value.bias,
        "output": layer.output_projection.kernel,
        "output_bias": layer.output_projection.bias,
    }
    if layer.use_layer_norm:
        weights["attention_scale"], weights["attention_shift"] = layer.attention_norm.weights
        weights["output_scale"], weights["output_shift"] = layer.output_norm.weights
    return {name: weight.numpy() for name, weight in weights.items()}


@pytest.mark.parametrize("num_heads", [1, 2, 3])
@pytest.mark.parametrize("use_layer_norm", [False, True])
def test_it_equals_the_reference(num_heads: int, use_layer_norm: bool) -> None:
    layer = block(num_heads=num_heads, use_layer_norm=use_layer_norm)
    result = layer(INPUTS).numpy()
    for b in range(BATCH):
        expected = set_attention(INPUTS["queries"][b], INPUTS["keys"][b], num_heads, weights_of(layer))
        np.testing.assert_allclose(result[b], expected, rtol=1e-4, atol=1e-5)


def test_with_a_mask_it_equals_the_reference_on_the_real_keys_alone() -> None:
    layer = block()
    result = layer(MASKED).numpy()
    for b, count in enumerate(COUNTS):
        expected = set_attention(INPUTS["queries"][b], INPUTS["keys"][b, :count], 2, weights_of(layer))
        np.testing.assert_allclose(result[b], expected, rtol=1e-4, atol=1e-5)


def test_scores_are_divided_by_the_root_of_the_full_width() -> None:
    layer = block(num_heads=3)
    query = (INPUTS["queries"] @ layer.query.kernel.numpy() + layer.query.bias.numpy())[:, :, :2]
    key = (INPUTS["keys"] @ layer.key.kernel.numpy())[:, :, :2]
    products = np.einsum("bnd,bmd->bnm", query, key)
    weights = layer.attention_weights(INPUTS).numpy()[:, 0]
    # Ratios of a softmax give back differences of scores.
    differences = np.log(weights[..., 1:] / weights[..., :1])
    expected = products[..., 1:] - products[..., :1]
    np.testing.assert_allclose(differences, expected / np.sqrt(WIDTH), rtol=1e-3, atol=1e-4)
    assert np.max(np.abs(differences - expected / np.sqrt(WIDTH / 3))) > 0.1, "the root of a head's width is another"


def test_attention_weights_are_shares_of_the_real_keys() -> None:
    weights = block().attention_weights(MASKED).numpy()
    assert weights.shape == (BATCH, 2, QUERIES, KEYS)
    np.testing.assert_allclose(np.sum(weights, axis=-1)[COUNTS > 0], 1.0, rtol=1e-6)
    padding = np.broadcast_to(~MASKED["key_mask"][:, None, None], weights.shape)
    np.testing.assert_array_equal(weights[padding], 0.0)
    assert np.all(weights[~padding] > 0.0)


def test_permuted_keys_change_nothing_and_permuted_queries_permute_the_result() -> None:
    layer = block(use_layer_norm=True)
    expected = layer(MASKED).numpy()
    keys = [3, 0, 4, 2, 1]
    permuted = {**MASKED, "keys": INPUTS["keys"][:, keys], "key_mask": MASKED["key_mask"][:, keys]}
    np.testing.assert_allclose(layer(permuted), expected, rtol=1e-5, atol=1e-5)
    queries = [2, 0, 1]
    permuted = {**MASKED, "queries": INPUTS["queries"][:, queries]}
    np.testing.assert_allclose(layer(permuted), expected[:, queries], rtol=1e-5, atol=1e-5)


def test_self_attention_is_equivariant_and_pooling_by_seeds_is_invariant() -> None:
    layer, keys, order = block(), INPUTS["keys"], [3, 0, 4, 2, 1]
    expected = layer({"queries": keys, "keys": keys}).numpy()
    permuted = layer({"queries": keys[:, order], "keys": keys[:, order]})
    np.testing.assert_allclose(permuted, expected[:, order], rtol=1e-5, atol=1e-5)
    assert np.max(np.abs(permuted - expected)) > 0.1, "an equivariant layer that ignored its input would show nothing"
    seeds = INPUTS["queries"][:1]
    expected = layer({"queries": seeds, "keys": keys}).numpy()
    np.testing.assert_allclose(layer({"queries": seeds, "keys": keys[:, order]}), expected, rtol=1e-5, atol=1e-5)


def test_queries_of_one_example_serve_a_whole_batch() -> None:
    layer = block()
    one = {**MASKED, "queries": INPUTS["queries"][:1]}
    repeated = {**MASKED, "queries": np.repeat(INPUTS["queries"][:1], BATCH, axis=0)}
    np.testing.assert_allclose(layer(one), layer(repeated), rtol=1e-6, atol=1e-6)
    assert layer.compute_output_shape({**SHAPES, "queries": (1, QUERIES, WIDTH)}) == (None, QUERIES, WIDTH)


def test_padding_does_not_matter_not_even_nan_and_no_gradient_reaches_it() -> None:
    layer = block()
    mask = MASKED["key_mask"]
    poisoned = np.where(mask[..., None], INPUTS["keys"], np.float32(np.nan))
    np.testing.assert_array_equal(layer({**MASKED, "keys": poisoned}), layer(MASKED))
    keys = tf.Variable(poisoned)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer({**MASKED, "keys": keys}) ** 2)
    gradients = tape.gradient(loss, [keys, *(weight.value for weight in layer.trainable_weights)])
    for gradient in gradients:
        assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradients[0].numpy()[~mask], 0.0)
    assert np.all(np.any(gradients[0].numpy()[mask] != 0.0, axis=-1))


@pytest.mark.parametrize("inputs", [INPUTS, MASKED], ids=["all keys", "masked"])
def test_the_softmax_is_computed_in_float32(inputs: dict) -> None:
    layer = SetAttentionBlock(dtype="mixed_bfloat16")
    layer.build(SHAPES)
    specs = {key: tf.TensorSpec(value.shape, value.dtype) for key, value in inputs.items()}
    graph = tf.function(layer).get_concrete_function(specs).graph
    assert {op.inputs[0].dtype for op in graph.get_operations() if op.type == "Softmax"} == {tf.float32}
    assert "bfloat16" in {op.inputs[0].dtype.name for op in graph.get_operations() if op.type.startswith("BatchMatMul")}


def test_bad_arguments_and_shapes_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"SetAttentionBlock: `num_heads` must be a positive int. Received: num_he.*=0"
    ):
        SetAttentionBlock(num_heads=0)
    with pytest.raises(TypeError, match="SetAttentionBlock: `use_layer_norm` must be a bool"):
        SetAttentionBlock(use_layer_norm=1)
    for shapes, text in (
        ({"keys": SHAPES["keys"]}, "`inputs` must be a dict with the keys ['queries']"),
        ({"queries": SHAPES["queries"]}, "`inputs` must be a dict with the keys ['keys']"),
        ({**SHAPES, "queries": (None, WIDTH)}, "`queries.shape` must be (B, N, D)"),
        ({**SHAPES, "keys": (None, None, WIDTH)}, "`keys.shape` must be (B, M, D)"),
        ({**SHAPES, "queries": (None, QUERIES, 8)}, "`queries.shape` must have the keys' width 6"),
        ({**SHAPES, "key_mask": (None, QUERIES)}, "`key_mask.shape` must have shape (B, 5)"),
    ):
        with pytest.raises(ValueError, match=re.escape(f"SetAttentionBlock: {text}")):
            SetAttentionBlock().build(shapes)
    with pytest.raises(ValueError, match=r"`num_heads` must divide the embedding width 6. Received: num_heads=4"):
        SetAttentionBlock(num_heads=4).build(SHAPES)
