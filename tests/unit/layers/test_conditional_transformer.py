"""Conditional layer norm, masked attention and the block they make, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.numpy_reference import self_attention, transformer_layer
from tfmtl.layers.sequence.conditional_transformer_block import ConditionalTransformerBlock
from tfmtl.layers.sequence.masked_self_attention import MaskedSelfAttention
from tfmtl.layers.sequence.transformer_rows import _unit_variance

TASKS, BEHAVIORS, LENGTH, WIDTH, BATCH, HEADS = 3, 2, 4, 6, 3, 3
RANDOM = np.random.default_rng(0)
COUNTS = np.array([[4, 0], [2, 1], [0, 3]])
MASK = np.arange(LENGTH) < COUNTS[..., None]
SCALE = RANDOM.normal(size=(TASKS, BEHAVIORS, 2, WIDTH)).astype("float32")
SHIFT = RANDOM.normal(size=(TASKS, BEHAVIORS, 2, WIDTH)).astype("float32")


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def attention_weights(layer: MaskedSelfAttention) -> dict[str, np.ndarray]:
    query, key, value = layer.projections.kernel.numpy()
    output = layer.output_projection
    return {
        "query": query,
        "key": key,
        "value": value,
        "output": output.kernel.numpy(),
        "output_bias": output.bias.numpy(),
    }


def block_weights(block: ConditionalTransformerBlock) -> dict[str, np.ndarray]:
    return {
        **attention_weights(block.attention),
        "expansion": block.expansion.kernel.numpy(),
        "expansion_bias": block.expansion.bias.numpy(),
        "contraction": block.contraction.kernel.numpy(),
        "contraction_bias": block.contraction.bias.numpy(),
    }


def test_rows_are_divided_by_their_deviation_in_float32() -> None:
    rows = np.array([[0.0, 0.0], [3.0, -3.0], [1e-3, -1e-3]], "float32")
    expected = rows / np.sqrt(np.mean(rows**2, axis=-1, keepdims=True) + 1e-6)  # a constant vector stays defined
    np.testing.assert_allclose(_unit_variance(rows), expected, rtol=1e-6)


def test_masked_self_attention_equals_the_reference() -> None:
    layer = MaskedSelfAttention(HEADS)
    inputs = {"events": normal(6, LENGTH, WIDTH), "event_mask": MASK.reshape(6, LENGTH)}
    layer.build({key: value.shape for key, value in inputs.items()})
    randomize_weights(layer)
    result = layer(inputs).numpy()
    for n, count in enumerate(COUNTS.reshape(-1)):
        expected = self_attention(inputs["events"][n], count, HEADS, attention_weights(layer))
        np.testing.assert_allclose(result[n], expected, rtol=1e-4, atol=1e-5)


def test_an_empty_row_attends_to_nothing() -> None:
    layer = MaskedSelfAttention()
    result = layer({"events": normal(1, LENGTH, WIDTH), "event_mask": np.zeros((1, LENGTH), bool)})
    np.testing.assert_array_equal(result, 0.0)  # the output bias starts at zero


@pytest.mark.parametrize("streams", [1, TASKS])
def test_block_equals_the_reference(streams: int) -> None:
    block = ConditionalTransformerBlock(HEADS, feed_forward_multiplier=2)
    inputs = {
        "events": normal(BATCH, streams, BEHAVIORS, LENGTH, WIDTH),
        "event_mask": MASK,
        "scale": SCALE,
        "shift": SHIFT,
    }
    block.build({key: value.shape for key, value in inputs.items()})
    randomize_weights(block)
    result, weights = block(inputs).numpy(), block_weights(block)
    for b, k, j in np.ndindex(result.shape[:3]):
        events, count = inputs["events"][b, k % streams, j], COUNTS[b, j]
        expected = transformer_layer(events, count, HEADS, weights, SCALE[k, j], SHIFT[k, j])
        np.testing.assert_allclose(result[b, k, j, :count], expected[:count], rtol=1e-3, atol=1e-4)


def test_block_keeps_the_condition_in_float32_under_mixed_precision() -> None:
    """Scales of 1 and 1.003 are one number in bfloat16, but must not act as one."""
    block = ConditionalTransformerBlock(dtype="mixed_bfloat16")
    scale, shift = np.ones((2, 1, 2, WIDTH), "float32"), np.zeros((2, 1, 2, WIDTH), "float32")
    scale[1] = 1.003
    shape = (1, 1, 1, LENGTH, WIDTH)
    inputs = {"events": normal(*shape), "event_mask": np.ones((1, 1, LENGTH), bool), "scale": scale, "shift": shift}
    result = tf.cast(block(inputs), "float32").numpy()
    assert np.any(result[:, 0] != result[:, 1])


def test_bad_arguments_and_shapes_are_refused() -> None:
    text = "MaskedSelfAttention: `num_heads` must divide the embedding width 6. Received: num_heads=4. Change"
    with pytest.raises(ValueError, match=text):
        MaskedSelfAttention(4).build({"events": (None, LENGTH, WIDTH), "event_mask": (None, LENGTH)})
    with pytest.raises(ValueError, match="MaskedSelfAttention: `num_heads` must be a positive int"):
        MaskedSelfAttention(0)
    with pytest.raises(
        ValueError, match="ConditionalTransformerBlock: `feed_forward_multiplier` must be a positive int"
    ):
        ConditionalTransformerBlock(feed_forward_multiplier=0)
    with pytest.raises(ValueError, match="ConditionalTransformerBlock: `dropout` must lie in"):
        ConditionalTransformerBlock(dropout=1.0)
    shapes = {"event_mask": MASK.shape, "scale": SCALE.shape, "shift": SHIFT.shape}
    with pytest.raises(ValueError, match=r"`events.shape` must have size 1 or 3 on axis 1"):
        ConditionalTransformerBlock().build({**shapes, "events": (None, 2, BEHAVIORS, LENGTH, WIDTH)})
