"""Soft selection: the reference, its limits, and which task's gates learn from whom."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.dephn_reference import field_attention, soft_selection
from tests.support.layer_checks import randomize_weights
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.bottom.soft_selection_bottom import SoftSelectionBottom
from tfmtl.layers.gates.soft_selection_gate import SoftSelectionGate

TASKS, GROUPS, FIELDS, BEHAVIORS, LENGTH, WIDTH, BATCH = 3, 4, 3, 2, 4, 6, 5
RANDOM = np.random.default_rng(0)
FIELD_VECTORS = RANDOM.normal(size=(BATCH, FIELDS, WIDTH)).astype("float32")
INPUTS = {
    "fields": FIELD_VECTORS,
    "events": RANDOM.normal(size=(BATCH, BEHAVIORS, LENGTH, WIDTH)).astype("float32"),
    "event_mask": np.arange(LENGTH) < RANDOM.integers(0, LENGTH + 1, size=(BATCH, BEHAVIORS, 1)),
    "queries": RANDOM.normal(size=(BATCH, BEHAVIORS, WIDTH)).astype("float32"),
}


def gate(**arguments) -> SoftSelectionGate:
    layer = SoftSelectionGate(GROUPS, **arguments)
    layer.build((None, FIELDS, WIDTH))
    randomize_weights(layer)
    return layer


def attentions(layer: SoftSelectionGate) -> list[dict[str, np.ndarray]]:
    kernels, outputs = layer.projections.kernel.numpy(), layer.output_projection.kernel.numpy()
    count = len(outputs)
    return [
        {"query": kernels[a], "key": kernels[count + a], "value": kernels[2 * count + a], "output": outputs[a]}
        for a in range(count)
    ]


def all_attended(layer: SoftSelectionGate) -> np.ndarray:
    weights = attentions(layer)
    return np.stack(
        [
            [field_attention(own, layer.num_heads, weights[n % len(weights)]) for n in range(GROUPS)]
            for own in FIELD_VECTORS
        ]
    )


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_gate_equals_the_reference(private: bool, heads: int) -> None:
    layer = gate(num_heads=heads, private_attention=private)
    expected = soft_selection(FIELD_VECTORS, heads, attentions(layer), layer.gate_logits.numpy()[..., 0])
    np.testing.assert_allclose(layer(FIELD_VECTORS), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("private", [False, True])
def test_closed_gates_give_the_fields_and_open_ones_their_attention(private: bool) -> None:
    layer = gate(private_attention=private)
    raw, attended = np.repeat(FIELD_VECTORS[:, None], GROUPS, axis=1), all_attended(layer)
    for logit, expected in ((-100.0, raw), (100.0, attended), (0.0, (raw + attended) / 2.0)):
        layer.gate_logits.assign(tf.fill(layer.gate_logits.shape, logit))
        np.testing.assert_allclose(layer(FIELD_VECTORS), expected, rtol=1e-4, atol=1e-5)
    layer.gate_logits.assign(tf.fill(layer.gate_logits.shape, -100.0))
    np.testing.assert_array_equal(layer(FIELD_VECTORS), raw)


def test_a_gate_concerns_one_group_and_one_field() -> None:
    layer = gate()
    before = layer(FIELD_VECTORS).numpy()
    logits = layer.gate_logits.numpy()
    logits[1, 2] += 1.0
    layer.gate_logits.assign(logits)
    changed = np.any(layer(FIELD_VECTORS).numpy() != before, axis=(0, 3))
    expected = np.zeros((GROUPS, FIELDS), bool)
    expected[1, 2] = True
    np.testing.assert_array_equal(changed, expected)


def test_gates_start_half_open() -> None:
    layer = SoftSelectionGate(GROUPS, private_attention=True)
    result = layer(FIELD_VECTORS)
    np.testing.assert_array_equal(layer.gate_logits, np.zeros((GROUPS, FIELDS, 1)))
    expected = (FIELD_VECTORS[:, None] + all_attended(layer)) / 2.0
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_a_private_attention_costs_four_matrices_a_group() -> None:
    assert gate().count_params() == 4 * WIDTH * WIDTH + GROUPS * FIELDS
    assert gate(private_attention=True).count_params() == GROUPS * (4 * WIDTH * WIDTH + FIELDS)


def test_permuted_fields_give_permuted_results_with_permuted_gates() -> None:
    layer, order = gate(), [2, 0, 1]
    expected = layer(FIELD_VECTORS).numpy()[:, :, order]
    assert np.any(np.abs(layer(FIELD_VECTORS[:, order]) - expected) > 1e-2)
    layer.gate_logits.assign(layer.gate_logits.numpy()[:, order])
    np.testing.assert_allclose(layer(FIELD_VECTORS[:, order]), expected, rtol=1e-5, atol=1e-6)


def test_one_field_attends_to_itself() -> None:
    layer = SoftSelectionGate(GROUPS)
    single = FIELD_VECTORS[:, :1]
    layer(single)
    layer.gate_logits.assign(tf.fill(layer.gate_logits.shape, 100.0))
    [weights] = attentions(layer)
    expected = single @ weights["value"] @ weights["output"]
    np.testing.assert_allclose(layer(single)[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_gates_are_computed_in_float32_under_mixed_precision() -> None:
    layer = SoftSelectionGate(GROUPS, dtype="mixed_bfloat16")
    layer(FIELD_VECTORS)
    layer.output_projection.kernel.assign(tf.zeros(layer.output_projection.kernel.shape))
    layer.gate_logits.assign(tf.fill(layer.gate_logits.shape, 8.0))
    result = tf.cast(layer(FIELD_VECTORS), "float32")
    # In bfloat16 sigmoid(8) is 1, and nothing would be left of the raw fields.
    expected = np.repeat(FIELD_VECTORS[:, None] / (1.0 + np.exp(8.0)), GROUPS, axis=1)
    np.testing.assert_allclose(result, expected, rtol=2**-6)


@pytest.mark.parametrize("pooling", ["mean", "target"])
@pytest.mark.parametrize("shared", [True, False])
def test_bottom_is_the_gate_on_fields_and_pooled_sequences(pooling: str, shared: bool) -> None:
    layer = SoftSelectionBottom(TASKS, pooling=pooling, public_representation=shared)
    layer.build({key: (None, *value.shape[1:]) for key, value in INPUTS.items()})
    randomize_weights(layer)
    vectors = np.concatenate([FIELD_VECTORS, layer.pool(INPUTS)], axis=1)
    result = layer(INPUTS)
    assert result.shape == (BATCH, TASKS + shared, (FIELDS + BEHAVIORS) * WIDTH)
    np.testing.assert_array_equal(result, layer.selection(vectors).numpy().reshape(result.shape))


def test_bottom_with_closed_gates_gives_all_the_shared_representation() -> None:
    layer = SoftSelectionBottom(TASKS, public_representation=True)
    layer(INPUTS)
    layer.selection.gate_logits.assign(tf.fill(layer.selection.gate_logits.shape, -100.0))
    expected = np.repeat(ConcatenationBottom()(INPUTS), TASKS + 1, axis=1)
    np.testing.assert_array_equal(layer(INPUTS), expected)


def test_bottom_without_sequences_is_the_gate_on_the_fields() -> None:
    layer = SoftSelectionBottom(TASKS, public_representation=True)
    result = layer({"fields": FIELD_VECTORS})
    expected = layer.selection(FIELD_VECTORS).numpy().reshape(BATCH, TASKS + 1, -1)
    np.testing.assert_array_equal(result, expected)
    assert layer.count_params() == layer.selection.count_params()


@pytest.mark.parametrize("stream", range(TASKS + 1))
def test_a_stream_has_gates_and_attention_of_its_own(stream: int) -> None:
    layer = SoftSelectionBottom(TASKS, private_attention=True, public_representation=True)
    layer.build({key: value.shape for key, value in INPUTS.items()})
    randomize_weights(layer)
    inner = layer.selection
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(INPUTS)[:, stream] ** 2)
    variables = (inner.gate_logits, inner.projections.kernel, inner.output_projection.kernel)
    for gradient in tape.gradient(loss, [variable.value for variable in variables]):
        learns = np.any(gradient.numpy().reshape(-1, TASKS + 1, *gradient.shape[1:]) != 0.0, axis=(0, 2, 3))
        np.testing.assert_array_equal(learns, np.arange(TASKS + 1) == stream)


def test_bad_arguments_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"SoftSelectionGate: `num_groups` must be a positive int. Received: num_gr"):
        SoftSelectionGate(0)
    with pytest.raises(TypeError, match="SoftSelectionGate: `private_attention` must be a bool"):
        SoftSelectionGate(2, private_attention=1)
    with pytest.raises(ValueError, match=r"`num_heads` must divide the embedding width 6. Received: num_heads=4"):
        SoftSelectionGate(2, num_heads=4).build((None, FIELDS, WIDTH))
    with pytest.raises(ValueError, match=r"SoftSelectionGate: `inputs.shape` must be \(B, F, D\)"):
        SoftSelectionGate(2).build((None, WIDTH))
    with pytest.raises(ValueError, match="SoftSelectionBottom: `num_tasks` must be a positive int"):
        SoftSelectionBottom(0)
    with pytest.raises(ValueError, match="SoftSelectionBottom: `num_heads` must be a positive int"):
        SoftSelectionBottom(2, num_heads=0)
    with pytest.raises(ValueError, match="SoftSelectionBottom: `pooling` must be one of"):
        SoftSelectionBottom(2, pooling="max")
    with pytest.raises(TypeError, match="SoftSelectionBottom: `public_representation` must be a bool"):
        SoftSelectionBottom(2, public_representation="no")
    with pytest.raises(ValueError, match=r"SoftSelectionBottom: `inputs` must be a dict with the keys \['fields'\]"):
        SoftSelectionBottom(2).build({"events": (None, 1, 2, 3)})
