"""Attention in blocks: the numbers of the whole form, without its tensors."""

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.layers.sequence import blocked_attention as blocks
from tfmtl.layers.sequence import slot_attention as slots

HEADS, WIDTH = 2, 4


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 4)


def attended(projected: tf.Tensor, is_event: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The result and a gradient in which every place has a weight of its own."""
    with tf.GradientTape() as tape:
        tape.watch(projected)
        result = slots.slot_attention(projected, is_event, 1, HEADS, WIDTH)
        upstream = tf.reshape(tf.cos(tf.range(tf.size(result), dtype=tf.float32)), tf.shape(result))
        total = tf.reduce_sum(tf.cast(result, tf.float32) * upstream)
    return result, tape.gradient(total, projected)


def inputs(length: int, seed: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(seed)
    is_event = rng.random((5, length)) < 0.7
    is_event[0] = False
    is_event[1] = True
    return tf.constant(rng.normal(size=(5, length, 3 * WIDTH)), tf.float32), tf.constant(is_event)


@pytest.mark.parametrize("length", [1, 3, 4, 5, 8, 11])
def test_blocks_give_the_numbers_of_the_whole(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = inputs(length)
    whole = attended(*given)
    monkeypatch.setattr(slots, "LONGEST_WHOLE", 0)
    for compiled in (False, True):
        result, gradient = tf.function(attended, jit_compile=compiled)(*given)
        np.testing.assert_allclose(result, whole[0], atol=1e-6)
        np.testing.assert_allclose(gradient, whole[1], atol=1e-6)
        assert not np.any(result[0])
        assert not np.any(gradient[0])


def test_half_precision_rounds_no_more_than_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    projected, is_event = inputs(64)
    exact = attended(projected, is_event)
    half = tf.cast(projected, tf.bfloat16)
    whole = attended(half, is_event)
    monkeypatch.setattr(slots, "LONGEST_WHOLE", 0)
    result, gradient = attended(half, is_event)
    assert result.dtype == gradient.dtype == tf.bfloat16
    for own, other, right in zip((result, gradient), whole, exact, strict=True):
        error, of_whole = (np.std(tf.cast(each, tf.float32) - right) for each in (own, other))
        assert error <= 1.5 * of_whole, (error, of_whole)


@pytest.mark.parametrize(("longest", "has_pairs"), [(0, False), (1_000, True)])
def test_no_tensor_of_every_pair_of_events(longest: int, has_pairs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "LONGEST_WHOLE", longest)
    length = 37
    graph = tf.function(attended).get_concrete_function(*inputs(length)).graph
    operations = [op for function in _functions(graph) for op in function.get_operations()]
    shapes = [output.shape for op in operations for output in op.outputs]
    pairs = [shape for shape in shapes if shape.rank is not None and list(shape).count(length) >= 2]
    assert bool(pairs) == has_pairs


def _functions(graph: tf.Graph) -> list[tf.Graph]:
    """The graph and those of its loops."""
    inner = [each.graph for each in getattr(graph, "_functions", {}).values()]
    return [graph, *(function for each in inner for function in _functions(each))]
