"""A stack of kernels starts as so many kernels of its own would, and no two alike."""

import itertools

import keras
import numpy as np
import pytest

from tfmtl.core.initializers import stacked_initializer

SHAPE = (6, 200, 100)


def draw(initializer, shape=SHAPE) -> np.ndarray:
    return np.asarray(stacked_initializer(initializer)(shape))


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / 300),
        ("glorot_normal", 2 / 300),
        ("he_normal", 2 / 200),
        ("he_uniform", 2 / 200),
        ("lecun_normal", 1 / 200),
    ],
)
def test_variance_is_that_of_one_kernel(name: str, variance: float) -> None:
    # 20,000 draws a kernel: the estimate's relative standard error is at most sqrt(2 / 20000) = 1 %.
    for kernel in draw(name):
        assert np.var(kernel) == pytest.approx(variance, rel=0.05)
        assert abs(np.mean(kernel)) < 5 * np.sqrt(variance / kernel.size)


def test_plain_keras_initializer_is_too_small_on_a_stack() -> None:
    """Why the function exists: Keras takes the stack for the receptive field of a convolution."""
    kernel = np.asarray(keras.initializers.GlorotUniform(seed=0)(SHAPE))
    assert np.var(kernel) == pytest.approx(2 / 300 / 6, rel=0.05)


def test_kernels_of_a_stack_differ() -> None:
    for one, other in itertools.combinations(draw("glorot_uniform"), 2):
        assert not np.any(one == other)


def test_one_unseeded_object_gives_each_layer_its_own_draw() -> None:
    shared = keras.initializers.GlorotUniform()
    assert np.any(draw(shared) != draw(shared))


def test_seed_is_kept() -> None:
    np.testing.assert_array_equal(draw(keras.initializers.HeNormal(seed=3)), draw(keras.initializers.HeNormal(seed=3)))
    assert np.any(draw(keras.initializers.HeNormal(seed=3)) != draw(keras.initializers.HeNormal(seed=4)))


def test_elementwise_initializers_are_used_as_they_are() -> None:
    assert np.all(draw("zeros") == 0.0)
    assert np.std(draw(keras.initializers.RandomNormal(stddev=0.01, seed=0))) == pytest.approx(0.01, rel=0.02)


def test_round_trip() -> None:
    initializer = stacked_initializer("he_normal")
    restored = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    assert restored.get_config() == stacked_initializer(restored).get_config() == initializer.get_config()


@pytest.mark.parametrize("name", ["orthogonal", "identity"])
def test_initializers_of_one_matrix_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="stacked_initializer: `initializer` must draw its entries independently"):
        stacked_initializer(name)
