"""Stacked layers equal as many single ones; stacks are isolated and start different."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.numpy_reference import mlp
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.dense.stacked_mlp import StackedMLP

SHARED = np.random.default_rng(0).normal(size=(5, 1, 4)).astype("float32")
OWN = np.random.default_rng(1).normal(size=(5, 3, 4)).astype("float32")


def built(layer: keras.layers.Layer, inputs: np.ndarray) -> keras.layers.Layer:
    layer.build(inputs.shape)
    randomize_weights(layer)
    return layer


@pytest.mark.parametrize("inputs", [SHARED, OWN], ids=["shared", "own"])
@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_stacked_dense_equals_single_dense_layers(inputs: np.ndarray, activation: str | None, use_bias: bool) -> None:
    layer = built(StackedDense(3, 2, activation, use_bias), inputs)
    outputs = layer(inputs)
    for stack in range(3):
        single = keras.layers.Dense(2, activation, use_bias)
        single.build((None, 4))
        single.set_weights([weight.numpy()[stack] for weight in layer.weights])
        expected = single(inputs[:, stack % inputs.shape[1]])
        np.testing.assert_allclose(outputs[:, stack], expected, rtol=1e-5, atol=1e-6)


def test_one_stack_is_a_dense_layer_whichever_way_it_is_computed() -> None:
    layer = built(StackedDense(1, 2), SHARED)
    expected = SHARED[:, 0] @ layer.kernel.numpy()[0] + layer.bias.numpy()[0]
    np.testing.assert_allclose(layer(SHARED)[:, 0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inputs", [SHARED, OWN], ids=["shared", "own"])
def test_stacked_mlp_equals_the_reference(inputs: np.ndarray) -> None:
    layer = built(StackedMLP(3, (6, 2)), inputs)
    outputs = layer(inputs)
    for stack in range(3):
        layers = [(dense.kernel.numpy()[stack], dense.bias.numpy()[stack]) for dense in layer.dense_layers]
        np.testing.assert_allclose(
            outputs[:, stack], mlp(inputs[:, stack % inputs.shape[1]], layers), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("inputs", [SHARED, OWN], ids=["shared", "own"])
def test_a_stack_learns_from_its_own_output_alone(inputs: np.ndarray) -> None:
    layer = built(StackedMLP(3, (6, 2), "tanh"), inputs)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs)[:, 1])
    for gradient in tape.gradient(loss, [weight.value for weight in layer.trainable_weights]):
        np.testing.assert_array_equal(gradient.numpy()[[0, 2]], 0.0)
        assert np.any(gradient.numpy()[1] != 0.0)


def test_dropout_acts_in_training_alone_and_keeps_the_mean() -> None:
    layer = StackedMLP(4, (64,), dropout=0.5)
    inputs = np.ones((200, 1, 8), "float32")
    plain, dropped = layer(inputs).numpy(), layer(inputs, training=True).numpy()
    np.testing.assert_array_equal(layer(inputs), plain)
    kept = dropped[plain > 0] / plain[plain > 0]
    np.testing.assert_allclose(np.unique(kept.round(3)), [0.0, 2.0])
    # 51,200 draws at most, half of them alive: the share's standard error is below 0.005.
    assert np.mean(kept == 0.0) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("layer_class", [StackedDense, StackedMLP])
def test_inputs_for_another_number_of_stacks_are_refused(layer_class: type) -> None:
    layer = layer_class(3, 2) if layer_class is StackedDense else layer_class(3, (2,))
    text = (
        r"StackedDense: `inputs.shape` must have size 1 or 3 on axis 1. Received: inputs.shape=\(None, 2, 4\). "
        "Give one input for all stacks, or one for each."
    )
    with pytest.raises(ValueError, match=text):
        layer.build((None, 2, 4))


def test_bad_arguments_are_refused_in_the_constructor() -> None:
    with pytest.raises(ValueError, match=r"StackedDense: `num_stacks` must be a positive int. Received: num_stacks=0"):
        StackedDense(0, 2)
    with pytest.raises(TypeError, match="StackedDense: `use_bias` must be a bool"):
        StackedDense(2, 2, use_bias="no")
    with pytest.raises(ValueError, match="StackedMLP: `hidden_units` must be a non-empty sequence"):
        StackedMLP(2, ())
    with pytest.raises(ValueError, match=r"StackedMLP: `dropout` must lie in \[0, 1\). Received: dropout=1.5"):
        StackedMLP(2, dropout=1.5)
