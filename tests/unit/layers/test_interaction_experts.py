"""Crosses and field interactions: references, identities, symmetries, initial values."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.dephn_reference import cross, field_interaction
from tests.support.layer_checks import randomize_weights
from tfmtl.layers.experts.cross_expert import CrossExpert
from tfmtl.layers.experts.field_interaction_expert import FieldInteractionExpert

STACKS, FIELDS, WIDTH, BATCH, LAYERS = 3, 4, 2, 5, 2
VECTORS = np.random.default_rng(0).normal(size=(BATCH, STACKS, FIELDS * WIDTH)).astype("float32")
MATRICES = VECTORS.reshape(BATCH, STACKS, FIELDS, WIDTH)
ONE_OR_EACH = pytest.mark.parametrize("streams", [1, STACKS])


def built(layer, inputs: np.ndarray):
    layer.build((None, *inputs.shape[1:]))
    randomize_weights(layer)
    return layer


def cross_weights(layer: CrossExpert, stack: int) -> list[dict[str, np.ndarray]]:
    result = []
    for index in range(layer.num_layers):
        kernels = [kernel.numpy()[stack].astype("float64") for kernel in layer.kernels[index]]
        residual = {"none": 0.0, "plain": 1.0}.get(layer.residual)
        if residual is None:
            residual = layer.residual_scale.numpy()[index, stack, 0]
        # Kernels stand to the right of row vectors, the paper's matrices to the left of column vectors.
        result.append(
            {
                "matrix": (kernels[0] if len(kernels) == 1 else kernels[0] @ kernels[1]).T,
                "vector": layer.vectors[index].numpy()[stack, :, 0],
                "bias": layer.bias.numpy()[index, stack, 0],
                "residual": residual,
            }
        )
    return result


def interaction_weights(layer: FieldInteractionExpert, stack: int) -> list[dict[str, np.ndarray]]:
    return [
        {"matrix": kernel.numpy()[stack], "residual": layer.residual_scale.numpy()[index, stack, :, 0]}
        for index, kernel in enumerate(layer.kernels)
    ]


@ONE_OR_EACH
@pytest.mark.parametrize("residual", ["none", "plain", "trainable"])
@pytest.mark.parametrize("rank", [None, 1, 3])
def test_cross_equals_the_reference(streams: int, residual: str, rank: int | None) -> None:
    inputs = VECTORS[:, :streams]
    layer = built(CrossExpert(STACKS, LAYERS, residual, rank), inputs)
    result = layer(inputs)
    for b, n in np.ndindex(BATCH, STACKS):
        expected = cross(inputs[b, n % streams], cross_weights(layer, n))
        np.testing.assert_allclose(result[b, n], expected, rtol=1e-4, atol=1e-4)


@ONE_OR_EACH
def test_field_interaction_equals_the_reference(streams: int) -> None:
    inputs = MATRICES[:, :streams]
    layer = built(FieldInteractionExpert(STACKS, LAYERS), inputs)
    result = layer(inputs)
    for b, n in np.ndindex(BATCH, STACKS):
        expected = field_interaction(inputs[b, n % streams], interaction_weights(layer, n))
        np.testing.assert_allclose(result[b, n], expected, rtol=1e-4, atol=1e-4)


@ONE_OR_EACH
def test_cross_without_products_is_the_identity(streams: int) -> None:
    inputs = VECTORS[:, :streams]
    for residual in ("plain", "trainable"):
        layer = CrossExpert(STACKS, residual=residual)
        layer(inputs)  # biases start at zero, residual scales at one
        for kernel in (*(kernel for [kernel] in layer.kernels), *layer.vectors):
            kernel.assign(tf.zeros(kernel.shape))
        np.testing.assert_array_equal(layer(inputs), np.broadcast_to(inputs, VECTORS.shape))
    layer = CrossExpert(STACKS, residual="none")
    layer(inputs)
    for weight in layer.weights:
        weight.assign(tf.zeros(weight.shape))
    np.testing.assert_array_equal(layer(inputs), np.zeros(VECTORS.shape))


@ONE_OR_EACH
def test_field_interaction_without_products_is_the_identity(streams: int) -> None:
    inputs = MATRICES[:, :streams]
    layer = FieldInteractionExpert(STACKS)
    layer(inputs)  # residual scales start at one
    for kernel in layer.kernels:
        kernel.assign(tf.zeros(kernel.shape))
    np.testing.assert_array_equal(layer(inputs), np.broadcast_to(inputs, MATRICES.shape))


def test_experts_start_near_the_identity_on_small_embeddings() -> None:
    for layer, inputs in ((CrossExpert(STACKS), VECTORS), (FieldInteractionExpert(STACKS), MATRICES)):
        small = 0.01 * inputs
        np.testing.assert_allclose(layer(small), small, atol=0.1 * np.max(np.abs(small)))


def test_field_interaction_of_permuted_fields_is_permuted_with_its_weights() -> None:
    layer, order = built(FieldInteractionExpert(STACKS, LAYERS), MATRICES), [2, 0, 3, 1]
    expected = layer(MATRICES).numpy()[:, :, order]
    assert np.any(np.abs(layer(MATRICES[:, :, order]) - expected) > 1e-2)
    for kernel in layer.kernels:
        kernel.assign(kernel.numpy()[:, order][:, :, order])
    layer.residual_scale.assign(layer.residual_scale.numpy()[:, :, order])
    np.testing.assert_allclose(layer(MATRICES[:, :, order]), expected, rtol=1e-5, atol=1e-5)


def test_field_interaction_never_mixes_coordinates_and_crosses_do() -> None:
    inner = built(FieldInteractionExpert(STACKS, LAYERS), MATRICES)
    other = MATRICES.copy()
    other[..., 0] += 1.0
    changed = np.any(inner(other).numpy() != inner(MATRICES).numpy(), axis=(0, 1, 2))
    np.testing.assert_array_equal(changed, [True, False])
    outer = built(CrossExpert(STACKS, LAYERS), VECTORS)
    difference = outer(other.reshape(VECTORS.shape)).numpy() != outer(VECTORS).numpy()
    assert np.all(np.any(difference, axis=(0, 1)))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_degree_is_one_more_than_the_layers(layers: int) -> None:
    # Of a polynomial of degree n the differences of order n + 1 vanish, and those of order n do not.
    steps = np.arange(layers + 3)
    for layer, inputs in ((CrossExpert(STACKS, layers), VECTORS), (FieldInteractionExpert(STACKS, layers), MATRICES)):
        layer = built(layer, inputs)
        if isinstance(layer, CrossExpert):
            layer.bias.assign(tf.zeros(layer.bias.shape))
        values = np.stack([layer(np.float32(step) * inputs).numpy().astype("float64") for step in steps])
        size = np.max(np.abs(values))
        assert np.max(np.abs(np.diff(values, layers + 2, axis=0))) < 1e-4 * size
        assert np.max(np.abs(np.diff(values, layers + 1, axis=0))) > 1e-2 * size


@pytest.mark.parametrize(
    ("layer", "inputs"), [(CrossExpert(STACKS), VECTORS), (FieldInteractionExpert(STACKS), MATRICES)]
)
def test_stacks_are_strangers(layer, inputs: np.ndarray) -> None:
    built(layer, inputs)
    other = inputs.copy()
    other[:, 1] += 1.0
    changed = np.any(layer(other).numpy() != layer(inputs).numpy(), axis=(0, *range(2, inputs.ndim)))
    np.testing.assert_array_equal(changed, [False, True, False])


def test_counts_of_weights_follow_the_formulas() -> None:
    width = FIELDS * WIDTH
    for residual, rank, a_layer in (
        ("none", None, width * width + 2 * width),
        ("trainable", None, width * width + 3 * width),
        ("trainable", 3, 2 * width * 3 + 3 * width),
    ):
        layer = built(CrossExpert(STACKS, LAYERS, residual, rank), VECTORS)
        assert layer.count_params() == STACKS * LAYERS * a_layer
    layer = built(FieldInteractionExpert(STACKS, LAYERS), MATRICES)
    assert layer.count_params() == STACKS * LAYERS * (FIELDS * FIELDS + FIELDS)


def test_bad_arguments_and_shapes_are_refused() -> None:
    for layer_class in (CrossExpert, FieldInteractionExpert):
        name = layer_class.__name__
        with pytest.raises(ValueError, match=f"{name}: `num_stacks` must be a positive int. Received: num_stacks=0"):
            layer_class(0)
        with pytest.raises(TypeError, match=f"{name}: `num_layers` must be a positive int. Received: num_layers=1.5"):
            layer_class(2, num_layers=1.5)
    with pytest.raises(ValueError, match=r"CrossExpert: `residual` must be one of .*Did you mean 'plain'\?"):
        CrossExpert(2, residual="plane")
    with pytest.raises(ValueError, match=r"CrossExpert: `rank` must be a positive int. Received: rank=0"):
        CrossExpert(2, rank=0)
    with pytest.raises(ValueError, match=r"CrossExpert: `inputs.shape` must have size 1 or 3 on axis 1"):
        CrossExpert(3).build((None, 2, 4))
    with pytest.raises(ValueError, match=r"CrossExpert: `inputs.shape` must be \(B, S, H\)"):
        CrossExpert(3).build((None, 3, 4, 2))
    with pytest.raises(ValueError, match=r"FieldInteractionExpert: `inputs.shape` must have size 1 or 3 on axis 1"):
        FieldInteractionExpert(3).build((None, 2, 4, 2))
    with pytest.raises(ValueError, match=r"FieldInteractionExpert: `inputs.shape` must be \(B, S, F, D\)"):
        FieldInteractionExpert(3).build((None, 3, 4))
