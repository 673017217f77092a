"""Interactions of fields: references by explicit loops, exact identities, and what each cannot tell apart."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.numpy_reference import relu, softmax
from tfmtl.layers.fields.bilinear_interaction import BilinearInteraction
from tfmtl.layers.fields.compressed_interaction import CompressedInteraction
from tfmtl.layers.fields.cross_network import CrossNetwork
from tfmtl.layers.fields.factorization_machine import FactorizationMachine
from tfmtl.layers.fields.interacting_attention import InteractingAttention
from tfmtl.layers.fields.squeeze_excitation import SqueezeExcitation

FIELDS, WIDTH, BATCH = 4, 3, 5
INPUTS = np.random.default_rng(0).normal(size=(BATCH, FIELDS, WIDTH)).astype("float32")
FLAT = INPUTS.reshape(BATCH, -1)
PAIRS = list(itertools.combinations(range(FIELDS), 2))
KINDS = {"all": lambda i, j: 0, "each": lambda i, j: i, "interaction": lambda i, j: PAIRS.index((i, j))}
ORDER = [2, 0, 3, 1]


def built(layer, inputs: np.ndarray = INPUTS):
    layer.build(inputs.shape)
    randomize_weights(layer)
    return layer


def pair_sum(fields: np.ndarray) -> np.ndarray:
    """The inner products of all pairs, `(B, 1)`, in float64."""
    exact = fields.astype("float64")
    return np.array([[sum(x[i] @ x[j] for i, j in itertools.combinations(range(len(x)), 2))] for x in exact])


def test_factorization_machine_equals_the_pair_sum_and_has_no_weights() -> None:
    layer = built(FactorizationMachine())
    np.testing.assert_allclose(layer(INPUTS), pair_sum(INPUTS), rtol=1e-5, atol=1e-6)
    assert layer.weights == []


def test_factorization_machine_does_not_see_the_order_of_fields() -> None:
    layer = built(FactorizationMachine())
    np.testing.assert_allclose(layer(INPUTS[:, ORDER]), layer(INPUTS), rtol=1e-5, atol=1e-6)


def test_factorization_machine_of_one_field_is_zero() -> None:
    np.testing.assert_array_equal(FactorizationMachine()(INPUTS[:, :1]), np.zeros((BATCH, 1)))


def test_factorization_machine_subtracts_in_float32_under_mixed_precision() -> None:
    # 101 squared and 100 squared are no bfloat16 numbers; rounded, they would differ by 192 and not by 201.
    fields = np.array([[[100.0], [1.0]]], "float32")
    assert float(FactorizationMachine(dtype="mixed_bfloat16")(fields)[0, 0]) == 100.0


def bilinear(kind: str) -> tuple[BilinearInteraction, np.ndarray]:
    """A layer and its matrices, `(number, D, D)`."""
    layer = built(BilinearInteraction(kind))
    return layer, layer.matrix.kernel.numpy().reshape(-1, WIDTH, WIDTH)


@pytest.mark.parametrize("kind", list(KINDS))
def test_bilinear_interaction_equals_the_reference(kind: str) -> None:
    layer, matrices = bilinear(kind)
    result = layer(INPUTS)
    assert result.shape == (BATCH, len(PAIRS), WIDTH)
    for pair, (i, j) in enumerate(PAIRS):
        matrix = matrices[KINDS[kind](i, j)]
        expected = (INPUTS[:, i].astype("float64") @ matrix) * INPUTS[:, j]
        np.testing.assert_allclose(result[:, pair], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "count"), [("all", 1), ("each", FIELDS - 1), ("interaction", len(PAIRS))])
def test_bilinear_kinds_differ_in_how_many_matrices_they_have(kind: str, count: int) -> None:
    assert bilinear(kind)[0].count_params() == count * WIDTH * WIDTH


@pytest.mark.parametrize("kind", ["each", "interaction"])
def test_bilinear_kinds_are_one_where_the_matrices_are_equal(kind: str) -> None:
    shared, [matrix] = bilinear("all")
    layer, matrices = bilinear(kind)
    layer.matrix.kernel.assign(np.broadcast_to(matrix, matrices.shape))
    np.testing.assert_allclose(layer(INPUTS), shared(INPUTS), rtol=1e-5, atol=1e-6)


def test_bilinear_interaction_with_the_identity_sums_to_the_factorization_machine() -> None:
    layer, _ = bilinear("all")
    layer.matrix.kernel.assign(np.eye(WIDTH))
    result = layer(INPUTS).numpy()
    np.testing.assert_array_equal(result, np.stack([INPUTS[:, i] * INPUTS[:, j] for i, j in PAIRS], axis=1))
    np.testing.assert_allclose(result.sum(axis=(1, 2))[:, None], pair_sum(INPUTS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", list(KINDS))
def test_two_fields_make_one_product(kind: str) -> None:
    layer = built(BilinearInteraction(kind), INPUTS[:, :2])
    matrix = layer.matrix.kernel.numpy().reshape(WIDTH, WIDTH)
    expected = (INPUTS[:, :1] @ matrix) * INPUTS[:, 1:2]
    np.testing.assert_allclose(layer(INPUTS[:, :2]), expected, rtol=1e-5, atol=1e-6)


def compressed(fields: np.ndarray, layer: CompressedInteraction, activation) -> np.ndarray:
    """CIN of one example `(F, D)`, one loop for every index, by the layer's weights."""
    first = hidden = fields.astype("float64")
    outputs: list[float] = []
    for number, units in enumerate(layer.hidden_units):
        kernel, bias = (weight.numpy() for weight in layer.compressions[number].weights)
        kernel = kernel.reshape(len(hidden), len(first), units)
        vectors = []
        for h in range(units):
            total = np.full(fields.shape[1], bias[h], "float64")
            for i, j in itertools.product(range(len(hidden)), range(len(first))):
                total += kernel[i, j, h] * hidden[i] * first[j]
            vectors.append(activation(total))
        split = units // 2 if layer.split_half and number < len(layer.hidden_units) - 1 else None
        hidden = np.array(vectors[:split])
        outputs.extend(vector.sum() for vector in vectors[split or 0 :])
    return np.array(outputs)


@pytest.mark.parametrize(
    ("hidden_units", "split_half", "width"),
    [((6, 4, 3), True, 3 + 2 + 3), ((5, 3), False, 5 + 3), ((3,), True, 3), ((3,), False, 3)],
)
@pytest.mark.parametrize(("activation", "function"), [("relu", relu), ("tanh", np.tanh), (None, lambda x: x)])
def test_compressed_interaction_equals_the_reference(hidden_units, split_half, width, activation, function) -> None:
    layer = built(CompressedInteraction(hidden_units, activation, split_half))
    result = layer(INPUTS)
    assert result.shape == (BATCH, width)
    expected = np.stack([compressed(fields, layer, function) for fields in INPUTS])
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("split_half", [True, False])
def test_compressed_interaction_does_not_see_the_order_of_coordinates(split_half: bool) -> None:
    layer = built(CompressedInteraction((4, 3), split_half=split_half))
    expected = layer(INPUTS).numpy()
    np.testing.assert_allclose(layer(INPUTS[:, :, [2, 0, 1]]), expected, rtol=1e-5, atol=1e-5)
    one_field_alone = INPUTS.copy()
    one_field_alone[:, 0] = INPUTS[:, 0, [2, 0, 1]]
    assert np.any(np.abs(layer(one_field_alone) - expected) > 1e-2), "only a joint permutation may change nothing"


def test_layer_k_of_the_compressed_interaction_has_degree_k_plus_one() -> None:
    layer = built(CompressedInteraction((2, 2, 2), activation=None, split_half=False))
    for compression in layer.compressions:
        compression.bias.assign(np.zeros(2))
    degrees = np.repeat([2, 3, 4], 2)
    np.testing.assert_allclose(layer(2.0 * INPUTS), layer(INPUTS).numpy() * 2.0**degrees, rtol=1e-5)


def test_one_compression_that_adds_all_pairs_is_the_factorization_machine() -> None:
    layer = built(CompressedInteraction((1,), activation=None))
    layer.compressions[0].kernel.assign(np.triu(np.ones((FIELDS, FIELDS)), 1).reshape(-1, 1))
    layer.compressions[0].bias.assign([0.0])
    np.testing.assert_allclose(layer(INPUTS), pair_sum(INPUTS), rtol=1e-5, atol=1e-6)


def attended(fields: np.ndarray, layer: InteractingAttention, scale: float) -> np.ndarray:
    """AutoInt's layer on one example `(F, D)`."""
    queries, keys, values, residual = (fields.astype("float64") @ k for k in layer.projections.kernel.numpy())
    result = np.zeros_like(residual)
    for head in range(layer.num_heads):
        part = slice(head * layer.head_dim, (head + 1) * layer.head_dim)
        for field in range(len(fields)):
            scores = np.array([queries[field, part] @ key[part] for key in keys]) * scale
            result[field, part] = softmax(scores) @ values[:, part]
    return relu(result + residual)


@pytest.mark.parametrize(("use_scaling", "scale"), [(False, 1.0), (True, 0.5)])
@pytest.mark.parametrize("num_heads", [1, 3])
def test_interacting_attention_equals_the_reference(num_heads: int, use_scaling: bool, scale: float) -> None:
    layer = built(InteractingAttention(head_dim=4, num_heads=num_heads, use_scaling=use_scaling))
    expected = np.stack([attended(fields, layer, scale) for fields in INPUTS])
    np.testing.assert_allclose(layer(INPUTS), expected, rtol=1e-4, atol=1e-5)


def test_interacting_attention_permutes_with_its_fields() -> None:
    layer = built(InteractingAttention())
    np.testing.assert_allclose(layer(INPUTS[:, ORDER]), layer(INPUTS).numpy()[:, ORDER], rtol=1e-5, atol=1e-5)


def test_interacting_attention_is_never_negative_and_sometimes_zero() -> None:
    result = built(InteractingAttention())(INPUTS).numpy()
    assert np.all(result >= 0.0)
    assert 0 < np.count_nonzero(result == 0.0) < result.size


def test_one_field_attends_to_itself() -> None:
    layer = built(InteractingAttention(), INPUTS[:, :1])
    *_, values, residual = layer.projections.kernel.numpy()
    expected = relu(INPUTS[:, :1] @ values + INPUTS[:, :1] @ residual)
    np.testing.assert_allclose(layer(INPUTS[:, :1]), expected, rtol=1e-5, atol=1e-5)


def test_attention_weights_are_distributions_and_equal_without_queries() -> None:
    layer = built(InteractingAttention())
    weights = layer.attention_weights(INPUTS).numpy()
    assert weights.shape == (BATCH, 2, FIELDS, FIELDS)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-6)
    kernel = layer.projections.kernel.numpy()
    kernel[0] = 0.0
    layer.projections.kernel.assign(kernel)
    # Two units in the last place: without AVX-512 TensorFlow divides by a softmax's sum approximately.
    np.testing.assert_allclose(layer.attention_weights(INPUTS), np.full_like(weights, 1.0 / FIELDS), rtol=2**-22)


def test_interacting_attention_normalizes_in_float32_under_mixed_precision() -> None:
    layer = InteractingAttention(head_dim=1, num_heads=1, dtype="mixed_bfloat16")
    # Values of few digits, the first 1, so that the first row of the scores is exact in bfloat16.
    fields = np.concatenate([[1.0], np.random.default_rng(1).integers(-40, 40, size=299) / 8.0])
    layer.build((1, 300, 1))
    layer.projections.kernel.assign(np.ones((4, 1, 1)))
    compiled = tf.function(layer.attention_weights, jit_compile=True)
    weights = tf.cast(compiled(tf.cast(fields[None, :, None], "bfloat16")), "float64")
    # One rounding of the result is all: 8 bits of mantissa.
    np.testing.assert_allclose(weights[0, 0, 0], softmax(fields), rtol=2**-8)


def crossed(x: np.ndarray, layer: CrossNetwork) -> np.ndarray:
    """The cross network of `(B, H)`, by the layer's weights."""
    first = x = x.astype("float64")
    for number, cross in enumerate(layer.crosses):
        matrix, bias = (weight.numpy() for weight in cross.weights)
        if layer.rank is not None:
            matrix = layer.projections[number].kernel.numpy() @ matrix
        x = first * (x @ matrix + bias + layer.diag_scale * x) + x
    return x


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("diag_scale", [0.0, 0.5])
def test_cross_network_equals_the_reference(num_layers: int, rank: int | None, diag_scale: float) -> None:
    layer = built(CrossNetwork(num_layers, rank, diag_scale), FLAT)
    np.testing.assert_allclose(layer(FLAT), crossed(FLAT, layer), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [None, 2])
def test_cross_network_with_zero_weights_is_the_identity(rank: int | None) -> None:
    layer = built(CrossNetwork(3, rank), FLAT)
    assert np.any(layer(FLAT) != FLAT)
    for weight in layer.weights:
        weight.assign(tf.zeros(weight.shape))
    np.testing.assert_array_equal(layer(FLAT), FLAT)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("rank", [None, 2])
def test_cross_network_is_a_polynomial_of_one_degree_more_than_it_has_layers(num_layers: int, rank: int | None) -> None:
    layer = built(CrossNetwork(num_layers, rank, diag_scale=0.5, dtype="float64"), FLAT)
    along_a_line = np.stack([layer(step * FLAT.astype("float64")) for step in range(num_layers + 3)])
    # The differences of order n of a polynomial vanish where its degree is below n, and only there.
    scale = np.max(np.abs(along_a_line))
    assert np.max(np.abs(np.diff(along_a_line, n=num_layers + 2, axis=0))) < 1e-12 * scale
    assert np.max(np.abs(np.diff(along_a_line, n=num_layers + 1, axis=0))) > 1e-2 * scale


def test_diag_scale_adds_to_the_diagonal() -> None:
    scaled, plain = built(CrossNetwork(2, diag_scale=0.5), FLAT), built(CrossNetwork(2), FLAT)
    for cross in plain.crosses:
        cross.kernel.assign(cross.kernel + 0.5 * np.eye(FLAT.shape[1]))
    np.testing.assert_allclose(scaled(FLAT), plain(FLAT), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rank", "matrix"), [(None, 144), (2, 48)])
def test_a_low_rank_costs_two_thin_matrices(rank: int | None, matrix: int) -> None:
    assert built(CrossNetwork(3, rank), FLAT).count_params() == 3 * (matrix + FLAT.shape[1])


def senet() -> SqueezeExcitation:
    return built(SqueezeExcitation(reduction=2, gate="relu", use_bias=False))


def test_senet_equals_the_reference() -> None:
    layer = senet()
    squeezed = np.mean(INPUTS.astype("float64"), axis=-1)
    weights = relu(relu(squeezed @ layer.reduce.kernel.numpy()) @ layer.excite.kernel.numpy())
    np.testing.assert_allclose(layer(INPUTS), INPUTS * weights[..., None], rtol=1e-4, atol=1e-5)


def test_senet_is_never_negative_and_removes_a_field_of_weight_zero_exactly() -> None:
    layer = senet()
    weights = layer.gate_weights(INPUTS).numpy()
    assert np.all(weights >= 0.0)
    assert 0 < np.count_nonzero(weights == 0.0) < weights.size
    result = layer(INPUTS).numpy()
    np.testing.assert_array_equal(result[weights == 0.0], 0.0)
    assert np.all(np.any(result[weights > 0.0] != 0.0, axis=-1))


def test_senet_permutes_with_its_fields_only_with_permuted_weights() -> None:
    layer = senet()
    expected = layer(INPUTS).numpy()[:, ORDER]
    assert np.any(np.abs(layer(INPUTS[:, ORDER]) - expected) > 1e-2)
    layer.reduce.kernel.assign(layer.reduce.kernel.numpy()[ORDER])
    layer.excite.kernel.assign(layer.excite.kernel.numpy()[:, ORDER])
    np.testing.assert_allclose(layer(INPUTS[:, ORDER]), expected, rtol=1e-5, atol=1e-6)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"BilinearInteraction: `kind` must be one of .*Did you mean 'each'\?"):
        BilinearInteraction("eech")
    with pytest.raises(ValueError, match="CompressedInteraction: `hidden_units` must be a non-empty sequence"):
        CompressedInteraction(())
    with pytest.raises(ValueError, match=r"`hidden_units` must be even in all but the last layer.*=\(4, 3, 2\)"):
        CompressedInteraction((4, 3, 2))
    with pytest.raises(TypeError, match="CompressedInteraction: `split_half` must be a bool"):
        CompressedInteraction((4, 2), split_half=1)
    with pytest.raises(ValueError, match="InteractingAttention: `head_dim` must be a positive int"):
        InteractingAttention(head_dim=0)
    with pytest.raises(TypeError, match="InteractingAttention: `num_heads` must be a positive int"):
        InteractingAttention(num_heads=1.5)
    with pytest.raises(TypeError, match="InteractingAttention: `use_scaling` must be a bool"):
        InteractingAttention(use_scaling="yes")
    with pytest.raises(ValueError, match="CrossNetwork: `num_layers` must be a positive int"):
        CrossNetwork(0)
    with pytest.raises(ValueError, match=r"CrossNetwork: `rank` must be a positive int.*or None for a full matrix"):
        CrossNetwork(rank=0)
    with pytest.raises(ValueError, match=r"CrossNetwork: `diag_scale` must be 0 or more.*diag_scale=-0.5"):
        CrossNetwork(diag_scale=-0.5)
    with pytest.raises(TypeError, match="CrossNetwork: `diag_scale` must be a finite number"):
        CrossNetwork(diag_scale="0.5")


def test_odd_widths_are_allowed_where_nothing_is_halved() -> None:
    CompressedInteraction((4, 2, 3))
    CompressedInteraction((3, 5), split_half=False)


@pytest.mark.parametrize(
    "layer", [FactorizationMachine(), BilinearInteraction(), CompressedInteraction(), InteractingAttention()]
)
def test_inputs_of_another_shape_are_refused(layer) -> None:
    name = type(layer).__name__
    for shape in ((None, WIDTH), (None, None, WIDTH), (None, FIELDS, WIDTH, 1)):
        with pytest.raises(ValueError, match=rf"{name}: `inputs.shape` must be \(B, F, D\) with all but the first"):
            layer.build(shape)


def test_shapes_without_an_interaction_are_refused() -> None:
    with pytest.raises(ValueError, match=r"BilinearInteraction: `inputs.shape` must have size 2 or more on axis 1"):
        BilinearInteraction().build((None, 1, WIDTH))
    with pytest.raises(ValueError, match=r"CrossNetwork: `inputs.shape` must be \(B, H\) with all but the first known"):
        CrossNetwork().build((None, FIELDS, WIDTH))
