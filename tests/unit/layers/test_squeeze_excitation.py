"""Squeeze-and-excitation against a reference: bounds, SENet, and what the order of vectors does."""

import numpy as np
import pytest

from tests.support.field_reference import excitation
from tests.support.layer_checks import randomize_weights
from tfmtl.layers.fields.squeeze_excitation import SqueezeExcitation

BATCH, SIZE, WIDTH = 5, 6, 4
INPUTS = np.random.default_rng(0).normal(size=(BATCH, SIZE, WIDTH)).astype("float32")
SENET = {"reduction": 3, "gate": "relu", "use_bias": False}


def layer_with(**arguments) -> SqueezeExcitation:
    layer = SqueezeExcitation(**arguments)
    layer.build((None, SIZE, WIDTH))
    randomize_weights(layer)
    return layer


def weights_of(layer: SqueezeExcitation) -> dict[str, np.ndarray]:
    weights = {"reduce": layer.reduce.kernel, "excite": layer.excite.kernel}
    if layer.use_bias:
        weights |= {"reduce_bias": layer.reduce.bias, "excite_bias": layer.excite.bias}
    return {name: weight.numpy() for name, weight in weights.items()}


@pytest.mark.parametrize("gate", ["sigmoid", "relu"])
@pytest.mark.parametrize("axis", ["field", "channel"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_it_equals_the_reference(gate: str, axis: str, use_bias: bool) -> None:
    layer = layer_with(reduction=1, gate=gate, axis=axis, use_bias=use_bias)
    expected = np.stack([excitation(vectors, weights_of(layer), gate, axis) for vectors in INPUTS])
    np.testing.assert_allclose(layer.gate_weights(INPUTS), expected, rtol=1e-4, atol=1e-6)
    weighted = INPUTS * (expected[..., None] if axis == "field" else expected[:, None])
    np.testing.assert_allclose(layer(INPUTS), weighted, rtol=1e-4, atol=1e-6)


def test_senet_has_two_matrices_and_removes_fields_exactly() -> None:
    layer = layer_with(**SENET)
    assert [tuple(weight.shape) for weight in layer.weights] == [(6, 2), (2, 6)]
    weights = layer.gate_weights(INPUTS).numpy()
    assert np.all(weights >= 0.0)
    assert 0 < np.count_nonzero(weights == 0.0) < weights.size
    np.testing.assert_array_equal(layer(INPUTS).numpy()[weights == 0.0], 0.0)


def test_sigmoid_weights_lie_between_0_and_1() -> None:
    weights = layer_with().gate_weights(100.0 * INPUTS).numpy()
    assert np.all((weights >= 0.0) & (weights <= 1.0))
    assert np.min(weights) < 0.01
    assert np.max(weights) > 0.99


@pytest.mark.parametrize(("axis", "count"), [("field", SIZE), ("channel", WIDTH)])
@pytest.mark.parametrize("reduction", [1, 2, 50])
def test_it_costs_two_layers_around_the_bottleneck(axis: str, count: int, reduction: int) -> None:
    bottleneck = max(1, count // reduction)
    layer = layer_with(reduction=reduction, axis=axis)
    assert layer.count_params() == count * bottleneck + bottleneck + bottleneck * count + count


def test_over_channels_the_order_of_vectors_does_not_matter() -> None:
    layer, order = layer_with(axis="channel"), [3, 0, 5, 1, 4, 2]
    np.testing.assert_allclose(layer(INPUTS[:, order]), layer(INPUTS).numpy()[:, order], rtol=1e-5, atol=1e-6)


def test_over_fields_permuted_vectors_need_permuted_weights() -> None:
    layer, order = layer_with(reduction=1), [3, 0, 5, 1, 4, 2]
    expected = layer(INPUTS).numpy()[:, order]
    assert np.max(np.abs(layer(INPUTS[:, order]) - expected)) > 0.01
    layer.reduce.kernel.assign(layer.reduce.kernel.numpy()[order])
    layer.excite.kernel.assign(layer.excite.kernel.numpy()[:, order])
    layer.excite.bias.assign(layer.excite.bias.numpy()[order])
    np.testing.assert_allclose(layer(INPUTS[:, order]), expected, rtol=1e-5, atol=1e-6)


def test_bad_arguments_and_shapes_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"SqueezeExcitation: `reduction` must be a positive int\. .*reduction=0\. Use 1"
    ):
        SqueezeExcitation(reduction=0)
    with pytest.raises(ValueError, match=r"SqueezeExcitation: `gate` must be one of .*Did you mean 'sigmoid'\?"):
        SqueezeExcitation(gate="sigmoidal")
    with pytest.raises(ValueError, match=r"SqueezeExcitation: `axis` must be one of \['field', 'channel'\]"):
        SqueezeExcitation(axis=1)
    with pytest.raises(TypeError, match="SqueezeExcitation: `use_bias` must be a bool"):
        SqueezeExcitation(use_bias="no")
    with pytest.raises(ValueError, match=r"SqueezeExcitation: `inputs.shape` must be \(B, M, D\)"):
        SqueezeExcitation().build((None, WIDTH))
