"""The interaction bottom: what each interaction is made of, and what all of them share."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.bottom.interaction_bottom import InteractionBottom
from tfmtl.layers.sequence.mean_pooling import MeanPooling

FIELDS, BEHAVIORS, LENGTH, WIDTH, BATCH = 3, 2, 4, 6, 5
VECTORS = FIELDS + BEHAVIORS
RANDOM = np.random.default_rng(0)
COUNTS = RANDOM.integers(0, LENGTH + 1, size=(BATCH, BEHAVIORS))
INPUTS = {
    "fields": RANDOM.normal(size=(BATCH, FIELDS, WIDTH)).astype("float32"),
    "events": RANDOM.normal(size=(BATCH, BEHAVIORS, LENGTH, WIDTH)).astype("float32"),
    "event_mask": np.arange(LENGTH) < COUNTS[..., None],
    "queries": RANDOM.normal(size=(BATCH, BEHAVIORS, WIDTH)).astype("float32"),
}
ALONE = {"fields": INPUTS["fields"]}
POOLED = np.concatenate([INPUTS["fields"], MeanPooling()(INPUTS)], axis=1)
FLAT = POOLED.reshape(BATCH, -1)
WIDTHS = {
    "dcn_v2": lambda vectors: vectors * WIDTH,
    "fm": lambda vectors: vectors * WIDTH + 1,
    "cin": lambda vectors: vectors * WIDTH + 64 + 128,
    "autoint": lambda vectors: vectors * 16,
    "senet": lambda vectors: vectors * WIDTH,
    "fibinet": lambda vectors: vectors * (vectors - 1) * WIDTH,
}
EVERY = pytest.mark.parametrize("interaction", list(WIDTHS))


def bottom(interaction: str, inputs=INPUTS, **arguments) -> InteractionBottom:
    layer = InteractionBottom(interaction, **arguments)
    layer.build({key: (None, *value.shape[1:]) for key, value in inputs.items()})
    randomize_weights(layer)
    return layer


@EVERY
@pytest.mark.parametrize(("inputs", "vectors"), [(INPUTS, VECTORS), (ALONE, FIELDS)], ids=["events", "fields_alone"])
def test_there_is_one_representation_of_the_promised_width(interaction: str, inputs, vectors: int) -> None:
    layer = bottom(interaction, inputs)
    expected = (BATCH, 1, WIDTHS[interaction](vectors))
    assert layer(inputs).shape == expected
    assert InteractionBottom(interaction).compute_output_shape({k: v.shape for k, v in inputs.items()}) == expected


def test_dcn_v2_crosses_the_flat_vectors() -> None:
    layer = bottom("dcn_v2", num_layers=3)
    assert len(layer.cross.crosses) == 3
    np.testing.assert_array_equal(layer(INPUTS)[:, 0], layer.cross(FLAT))


def test_dcn_v2_with_zero_weights_is_the_shared_representation() -> None:
    layer = bottom("dcn_v2")
    for weight in layer.weights:
        weight.assign(tf.zeros(weight.shape))
    np.testing.assert_array_equal(layer(INPUTS), ConcatenationBottom()(INPUTS))


def test_fm_appends_the_sum_over_pairs() -> None:
    result = bottom("fm")(INPUTS).numpy()[:, 0]
    np.testing.assert_array_equal(result[:, :-1], FLAT)
    exact = POOLED.astype("float64")
    pairs = sum(np.sum(exact[:, i] * exact[:, j], axis=-1) for i in range(VECTORS) for j in range(i + 1, VECTORS))
    np.testing.assert_allclose(result[:, -1], pairs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_cin_appends_the_compressed_interaction(num_layers: int) -> None:
    layer = bottom("cin", num_layers=num_layers)
    assert layer.products.hidden_units == (128,) * num_layers
    result = layer(INPUTS).numpy()[:, 0]
    np.testing.assert_array_equal(result[:, : FLAT.shape[1]], FLAT)
    np.testing.assert_array_equal(result[:, FLAT.shape[1] :], layer.products(POOLED))


def test_autoint_stacks_attention() -> None:
    layer = bottom("autoint", num_layers=3)
    first, second, third = layer.attention_layers
    np.testing.assert_array_equal(layer(INPUTS)[:, 0], third(second(first(POOLED))).numpy().reshape(BATCH, -1))


def test_senet_reweights_and_removes_a_vector_of_weight_zero_exactly() -> None:
    layer = bottom("senet")
    weights = layer.gate.gate_weights(POOLED).numpy()
    assert 0 < np.count_nonzero(weights == 0.0) < weights.size
    result = layer(INPUTS).numpy().reshape(BATCH, VECTORS, WIDTH)
    np.testing.assert_array_equal(result, POOLED * weights[..., None])
    np.testing.assert_array_equal(result[weights == 0.0], 0.0)


@pytest.mark.parametrize("interaction", ["senet", "fibinet"])
def test_the_gate_is_senets(interaction: str) -> None:
    gate = bottom(interaction).gate
    assert [weight.shape for weight in gate.weights] == [(VECTORS, VECTORS // 3), (VECTORS // 3, VECTORS)]
    assert (gate.gate, gate.use_bias) == ("relu", False)


def test_fibinet_joins_the_products_of_the_vectors_and_of_the_reweighted_vectors() -> None:
    layer = bottom("fibinet")
    result = layer(INPUTS).numpy()[:, 0]
    plain, gated = layer.bilinear(POOLED), layer.gated_bilinear(layer.gate(POOLED))
    expected = np.concatenate([np.reshape(plain, (BATCH, -1)), np.reshape(gated, (BATCH, -1))], axis=-1)
    np.testing.assert_array_equal(result, expected)


def test_fibinet_has_two_sets_of_matrices_that_start_different() -> None:
    layer = InteractionBottom("fibinet")
    layer.build({key: value.shape for key, value in INPUTS.items()})
    assert np.all(layer.bilinear.matrix.kernel.numpy() != layer.gated_bilinear.matrix.kernel.numpy())


@EVERY
def test_target_pooling_reads_the_queries(interaction: str) -> None:
    layer = bottom(interaction, pooling="target")
    other_queries = {**INPUTS, "queries": INPUTS["queries"][::-1].copy()}
    assert np.any(layer(other_queries) != layer(INPUTS))
    mean = bottom(interaction)
    np.testing.assert_array_equal(mean(other_queries), mean(INPUTS))


@EVERY
def test_padding_reaches_nothing(interaction: str) -> None:
    layer = bottom(interaction)
    events = np.where(INPUTS["event_mask"][..., None], INPUTS["events"], np.nan).astype("float32")
    np.testing.assert_array_equal(layer({**INPUTS, "events": events}), layer(INPUTS))


@pytest.mark.parametrize("interaction", ["fm", "senet", "fibinet"])
def test_number_of_layers_concerns_only_interactions_with_layers(interaction: str) -> None:
    one, many = bottom(interaction, num_layers=1), bottom(interaction, num_layers=4)
    assert one.count_params() == many.count_params()
    np.testing.assert_array_equal(one(INPUTS), many(INPUTS))


def test_bad_arguments_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"InteractionBottom: `interaction` must be one of .*Did you mean 'dcn_v2'\?"):
        InteractionBottom("dcn")
    with pytest.raises(ValueError, match="InteractionBottom: `pooling` must be one of"):
        InteractionBottom(pooling="max")
    with pytest.raises(ValueError, match="InteractionBottom: `num_layers` must be a positive int"):
        InteractionBottom(num_layers=0)
    shapes = {key: value.shape for key, value in INPUTS.items()}
    with pytest.raises(ValueError, match=r"InteractionBottom: `inputs` must be a dict with the keys \['fields'\]"):
        InteractionBottom().build({"events": shapes["events"]})
    with pytest.raises(ValueError, match=r"InteractionBottom: `events.shape` must have the fields' width 8"):
        InteractionBottom().build({**shapes, "fields": (None, FIELDS, 8)})
    with pytest.raises(ValueError, match=r"`inputs.shape` must have size 2 or more on axis 1"):
        InteractionBottom("fibinet").build({"fields": (None, 1, WIDTH)})
