"""How far and which way weights are moved."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmtl.sharpness import ASAM, SAM, SHARPNESS, Sharpness, get_sharpness

METHODS = [SAM, ASAM]


def weights_and_gradients(seed: int = 0) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    random = np.random.default_rng(seed)
    return tuple([tf.constant(random.normal(size=shape), tf.float32) for shape in ((3, 4), (5,))] for _ in range(2))


def norm(parts: list) -> float:
    return float(np.sqrt(sum(np.sum(np.square(part)) for part in parts)))


def test_length() -> None:
    weights, gradients = weights_and_gradients()
    moves = SAM(0.3).perturbation(weights, gradients)
    assert norm(moves) == pytest.approx(0.3, rel=1e-5)
    for move, gradient in zip(moves, gradients, strict=True):
        np.testing.assert_allclose(move, 0.3 * gradient / norm(gradients), rtol=1e-5)


def test_length_in_units_of_the_weights() -> None:
    weights, gradients = weights_and_gradients()
    moves = ASAM(0.7).perturbation(weights, gradients)
    assert norm([move / weight for move, weight in zip(moves, weights, strict=True)]) == pytest.approx(0.7, rel=1e-5)
    length = norm([np.abs(weight) * gradient for weight, gradient in zip(weights, gradients, strict=True)])
    for move, weight, gradient in zip(moves, weights, gradients, strict=True):
        np.testing.assert_allclose(move, 0.7 * weight**2 * gradient / length, rtol=1e-5)


def test_what_one_layer_gains_and_the_next_one_loses_changes_nothing() -> None:
    """Two weights whose product counts: scaled by 4 and 1/4, they move to the same product."""
    ends = []
    for factor in (1.0, 4.0):
        one, other = tf.constant([2.0 * factor]), tf.constant([3.0 / factor])
        moves = ASAM(0.5).perturbation([one, other], [other, one])
        ends.append(float((one + moves[0])[0] * (other + moves[1])[0]))
    assert ends[1] == pytest.approx(ends[0], rel=1e-5)


def test_flat_gradient_of_a_quadratic() -> None:
    """For `theta' H theta / 2` the gradient changes by `rho H g / |g|`."""
    random = np.random.default_rng(0)
    root = random.normal(size=(4, 4))
    hessian = tf.constant(root @ root.T, tf.float32)
    theta = tf.constant(random.normal(size=4), tf.float32)
    gradient = tf.linalg.matvec(hessian, theta)
    [move] = SAM(0.2).perturbation([theta], [gradient])
    flat = tf.linalg.matvec(hessian, theta + move) - gradient
    expected = 0.2 * tf.linalg.matvec(hessian, gradient) / tf.norm(gradient)
    np.testing.assert_allclose(flat, expected, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_without_gradient_nothing_moves(method: type[Sharpness]) -> None:
    weights, gradients = weights_and_gradients()
    zeros = [tf.zeros_like(gradient) for gradient in gradients]
    for moves in (method().perturbation(weights, zeros), method(0.0).perturbation(weights, gradients)):
        assert not any(np.any(move) for move in moves)
    assert method().perturbation([], []) == []


@pytest.mark.parametrize("method", METHODS)
def test_config(method: type[Sharpness]) -> None:
    sharpness = method(0.7, decomposed=True, embeddings=True)
    again = get_sharpness(keras.saving.serialize_keras_object(sharpness))
    assert type(again) is method
    assert again.get_config() == {"rho": 0.7, "decomposed": True, "embeddings": True}
    assert keras.saving.get_registered_name(method) == f"tfmtl>{method.__name__}"


def test_names() -> None:
    assert {name: type(get_sharpness(name)) for name in SHARPNESS} == {"sam": SAM, "asam": ASAM}
    assert (get_sharpness("sam").rho, get_sharpness("asam").rho) == (0.05, 2.0)
    given = SAM(0.1)
    assert get_sharpness(given) is given
    with pytest.raises(TypeError, match=r"must be a name or a Sharpness. Received: identifier=3"):
        get_sharpness(3)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"rho": -0.1}, ValueError, r"SAM: `rho` must be at least 0. Received: rho=-0.1"),
        ({"rho": "far"}, TypeError, r"SAM: `rho` must be .*Received: rho='far'"),
        ({"decomposed": 1}, TypeError, r"SAM: `decomposed` must be .*Received: decomposed=1"),
        ({"embeddings": None}, TypeError, r"SAM: `embeddings` must be .*Received: embeddings=None"),
    ],
)
def test_arguments_are_checked(arguments: dict, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        SAM(**arguments)
