"""Encoders of texts and series: what is filled up behind says nothing, and neither do the other rows of a batch."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfmtl.features.encoders import ENCODERS, make_encoder

LENGTH, WIDTH, DIM = 9, 6, 6
ORDERED = sorted(set(ENCODERS) - {"mean"})
_made: dict[str, Any] = {}


def encoder(kind: str, length: int = LENGTH) -> Any:
    """One with weights that are not small, the same for every length."""
    if f"{kind} {length}" not in _made:
        made = make_encoder(kind, DIM, length, WIDTH, "float32", kind)
        generator = np.random.default_rng(0)
        for weight in made.weights:
            shape = (LENGTH, *weight.shape[1:]) if "places" in weight.path else tuple(weight.shape)
            values = generator.normal(size=shape).astype("f4") * 0.5
            weight.assign(values[: weight.shape[0]])
        _made[f"{kind} {length}"] = made
    return _made[f"{kind} {length}"]


def lists(rows: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Lists of 1 to `LENGTH` elements, and one of none."""
    generator = np.random.default_rng(1)
    lengths = np.append(generator.integers(1, LENGTH - 2, rows - 1), 0)
    mask = (np.arange(LENGTH) < lengths[:, np.newaxis]).astype("f4")
    return generator.normal(size=(rows, LENGTH, WIDTH)).astype("f4") * mask[..., np.newaxis], mask


@pytest.mark.parametrize("kind", sorted(set(ENCODERS) - {"flat"}))
def test_places_filled_up_behind_change_nothing(kind: str) -> None:
    inputs, mask = lists()
    short = LENGTH - 2
    found = encoder(kind, short)(inputs[:, :short], mask[:, :short])
    np.testing.assert_allclose(found, encoder(kind)(inputs, mask), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", sorted(ENCODERS))
def test_a_row_does_not_depend_on_the_others(kind: str) -> None:
    inputs, mask = lists()
    whole = encoder(kind)(inputs, mask)
    alone = [encoder(kind)(inputs[row : row + 1], mask[row : row + 1])[0] for row in range(len(inputs))]
    np.testing.assert_allclose(whole, np.stack(alone), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ORDERED)
def test_order_matters(kind: str) -> None:
    inputs, mask = lists()
    length = int(mask[0].sum())
    assert length > 2
    turned = inputs.copy()
    turned[0, :length] = inputs[0, :length][::-1]
    before, after = (encoder(kind)(each, mask).numpy() for each in (inputs, turned))
    assert np.abs(after[0] - before[0]).max() > 1e-2
    np.testing.assert_allclose(after[1:], before[1:], rtol=1e-5, atol=1e-6)


def test_order_does_not_matter_to_a_mean() -> None:
    inputs, mask = lists()
    found = encoder("mean")(inputs[:, ::-1], mask[:, ::-1])
    np.testing.assert_allclose(found, encoder("mean")(inputs, mask), rtol=1e-5, atol=1e-6)
    expected = inputs.sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", sorted(ENCODERS))
def test_an_empty_list_is_finite_and_so_are_its_gradients(kind: str) -> None:
    inputs, mask = lists()
    made = encoder(kind)
    variable = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        total = tf.reduce_sum(made(variable, mask) ** 2)
    gradients = tape.gradient(total, [variable, *(weight.value for weight in made.trainable_weights)])
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0.0


@pytest.mark.parametrize("kind", sorted(ENCODERS))
def test_xla_computes_the_same(kind: str) -> None:
    inputs, mask = lists()
    made = encoder(kind)
    compiled = tf.function(lambda x, m: made(x, m), jit_compile=True)
    np.testing.assert_allclose(compiled(inputs, mask), made(inputs, mask), rtol=1e-4, atol=1e-5)


def test_convolutions_are_those_of_numpy() -> None:
    inputs, mask = lists()
    made = encoder("convolution")
    best = []
    for size, kernel, bias in zip((3, 4, 5), made.kernels, made.biases, strict=True):
        rows = []
        for row, length in zip(inputs, mask.sum(axis=1).astype(int), strict=True):
            padded = np.concatenate([np.zeros((size - 1, WIDTH)), row[:length], np.zeros((size - 1, WIDTH))])
            runs = [padded[i : i + size].reshape(-1) for i in range(length + size - 1 if length else 0)]
            found = [np.maximum(run @ kernel.numpy() + bias.numpy(), 0.0) for run in runs]
            rows.append(np.max(found, axis=0) if found else np.zeros(DIM))
        best.append(np.array(rows))
    weights, bias = made.projection.get_weights()
    expected = np.concatenate(best, axis=1) @ weights + bias
    np.testing.assert_allclose(made(inputs, mask), expected, rtol=1e-4, atol=1e-5)
