"""Virtual gradient: what the scaling functions are, that values stay and gradients are scaled, and by how much."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.support.dephn_reference import SCALING, virtual_gradient_scale
from tests.support.layer_checks import randomize_weights
from tfmtl.layers.gates._scaling_functions import SCALING_FUNCTIONS
from tfmtl.layers.gates.virtual_gradient_gate import VirtualGradientGate

TASKS, EXPERTS, MAPPINGS = 4, 3, 2
CORRELATION = np.array(
    [[1.0, 0.9, 0.3, 0.02], [0.9, 1.0, 0.55, 0.7], [0.3, 0.55, 1.0, 0.41], [0.02, 0.7, 0.41, 1.0]], "float32"
)
INPUTS = {"label_correlation": CORRELATION}
SLOPES = np.random.default_rng(0).normal(size=(TASKS, EXPERTS, MAPPINGS)).astype("float32")
EVERY_FUNCTION = pytest.mark.parametrize("function", list(SCALING))
GRID = np.linspace(0.0, 1.0, 41)
ADDITIVE = [name for name in SCALING if name.startswith("additive")]
MULTIPLICATIVE = [name for name in SCALING if name.startswith("multiplicative")]


def gate(num_tasks: int = TASKS, **arguments) -> VirtualGradientGate:
    layer = VirtualGradientGate(num_tasks, EXPERTS, MAPPINGS, **arguments)
    layer.build({})
    randomize_weights(layer)
    return layer


def gradient(layer: VirtualGradientGate, inputs: dict, slopes: np.ndarray = SLOPES, jit_compile=False) -> np.ndarray:
    """Of the sum of the gates times `slopes`; the plain gradient is `slopes`."""

    def compute() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(layer(inputs), "float32") * slopes)
        return tf.convert_to_tensor(tape.gradient(loss, layer.gates.value))

    return (tf.function(compute, jit_compile=True) if jit_compile else compute)().numpy()


def gamma(function: str, x: float, y: float) -> float:
    return float(SCALING_FUNCTIONS[function](tf.constant(x, "float32"), tf.constant(y, "float32")))


def test_there_are_eight_functions() -> None:
    assert list(SCALING_FUNCTIONS) == list(SCALING)
    assert len(SCALING_FUNCTIONS) == 8


@EVERY_FUNCTION
def test_function_equals_its_formula_and_stays_between_0_and_2(function: str) -> None:
    x, y = np.meshgrid(GRID, GRID, indexing="ij")
    values = SCALING_FUNCTIONS[function](tf.constant(x, "float32"), tf.constant(y, "float32")).numpy()
    expected = np.vectorize(SCALING[function])(x, y)
    # The root turns a rounding error of 1e-7 at the bottom of its valley into one of 1e-3.
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-3 if "root" in function else 1e-5)
    assert np.all(values >= 0.0)
    assert np.all(values <= 2.0)


@pytest.mark.parametrize("function", ADDITIVE)
def test_additive_functions_amplify_where_both_agree_and_silence_where_they_do_not(function: str) -> None:
    assert gamma(function, 0.0, 0.0) == gamma(function, 1.0, 1.0) == 2.0
    assert gamma(function, 1.0, 0.0) == gamma(function, 0.0, 1.0) == 0.0


@pytest.mark.parametrize("function", MULTIPLICATIVE)
def test_multiplicative_functions_amplify_at_all_corners_and_vanish_at_a_half(function: str) -> None:
    assert [gamma(function, x, y) for x, y in itertools.product((0.0, 1.0), repeat=2)] == [2.0] * 4
    assert gamma(function, 0.5, 1.0) == gamma(function, 1.0, 0.5) == 0.0


@EVERY_FUNCTION
@pytest.mark.parametrize("mode", ["exact", "ratio"])
def test_values_are_the_gates_to_the_bit(function: str, mode: str) -> None:
    layer = gate(function=function, mode=mode)
    expected = layer.gates.numpy()
    for inputs in ({}, INPUTS):
        np.testing.assert_array_equal(layer(inputs), expected)
        np.testing.assert_array_equal(tf.function(layer)(inputs), expected)
    np.testing.assert_array_equal(
        tf.function(layer, jit_compile=True)(tf.nest.map_structure(tf.constant, INPUTS)), expected
    )


@EVERY_FUNCTION
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_gradient_is_the_plain_one_times_the_product_over_the_other_tasks(function: str, scale: float) -> None:
    layer = gate(function=function)
    layer.gates.assign(scale * layer.gates)
    expected = virtual_gradient_scale(layer.gates.numpy(), CORRELATION, function)
    np.testing.assert_allclose(layer.scaling(CORRELATION), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(gradient(layer, INPUTS), layer.scaling(CORRELATION).numpy() * SLOPES)
    assert np.all(expected >= 0.0)
    assert np.all(expected <= 2.0 ** (TASKS - 1))
    assert np.any(np.abs(expected - 1.0) > 0.1)


def test_gradient_is_plain_without_a_correlation_or_a_function() -> None:
    np.testing.assert_array_equal(gradient(gate(), {}), SLOPES)
    off = gate(function=None)
    np.testing.assert_array_equal(gradient(off, INPUTS), SLOPES)
    np.testing.assert_array_equal(off.scaling(CORRELATION), np.ones(SLOPES.shape))


@EVERY_FUNCTION
@pytest.mark.parametrize("mode", ["exact", "ratio"])
def test_one_task_learns_as_it_would_alone(function: str, mode: str) -> None:
    layer = gate(1, function=function, mode=mode)
    np.testing.assert_array_equal(layer.scaling(np.ones((1, 1))), np.ones((1, EXPERTS, MAPPINGS)))
    slopes = SLOPES[:1]
    np.testing.assert_array_equal(gradient(layer, {"label_correlation": np.ones((1, 1))}, slopes), slopes)


@EVERY_FUNCTION
def test_two_tasks_scale_each_other_alike(function: str) -> None:
    first, second = gate(2, function=function).scaling(CORRELATION[:2, :2]).numpy()
    np.testing.assert_array_equal(first, second)


def test_differences_beyond_1_count_as_1() -> None:
    layer = gate(2)
    results = []
    for difference in (1.0, 7.0):
        layer.gates.assign(np.stack([np.zeros((EXPERTS, MAPPINGS)), np.full((EXPERTS, MAPPINGS), difference)]))
        results.append(layer.scaling(CORRELATION[:2, :2]).numpy())
    np.testing.assert_array_equal(results[0], results[1])


def test_the_diagonal_of_the_correlation_is_not_read() -> None:
    layer, other = gate(), CORRELATION.copy()
    np.fill_diagonal(other, 0.3)
    np.testing.assert_array_equal(layer.scaling(other), layer.scaling(CORRELATION))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("mode", ["exact", "ratio"])
def test_equal_gates_of_equal_labels_have_finite_gradients(mode: str, jit_compile: bool) -> None:
    # With x = 1 and y = 0 every additive factor is zero, where a root has no slope and a ratio no value.
    for function in SCALING:
        layer = gate(2, function=function, mode=mode)
        layer.gates.assign(tf.ones(layer.gates.shape))
        inputs = {"label_correlation": np.ones((2, 2), "float32")}
        result = gradient(layer, inputs, SLOPES[:2], jit_compile=jit_compile)
        assert np.all(np.isfinite(result))
        np.testing.assert_array_equal(layer(inputs), np.ones((2, EXPERTS, MAPPINGS)))
        if mode == "exact" and function in ADDITIVE:
            np.testing.assert_array_equal(result, 0.0)


def logarithmic_slopes(gates: np.ndarray) -> np.ndarray:
    """d ln γ / d G_t of the additive square, `(T, T, K, P)`, first of task t, then of its partner."""
    result = np.zeros((TASKS, *gates.shape))
    for t, j in itertools.permutations(range(TASKS), 2):
        difference = gates[t] - gates[j]
        slope = 2.0 / (CORRELATION[t, j] + np.abs(difference) - 1.0) * np.sign(difference)
        result[t, j] = np.where(np.abs(difference) < 1.0, slope, 0.0)
    return result


def test_ratio_gives_one_plus_the_gate_times_the_slope_of_its_logarithm() -> None:
    layer = gate(function="additive_square", mode="ratio")
    gates = layer.gates.numpy().astype("float64")
    slopes = logarithmic_slopes(gates)
    expected = SLOPES * (1.0 + gates * slopes.sum(axis=1))
    for t, j in itertools.permutations(range(TASKS), 2):
        # γ of the pair stands in the value of the partner's gate as well.
        expected[t] += SLOPES[j] * gates[j] * slopes[t, j]
    np.testing.assert_allclose(gradient(layer, INPUTS), expected, rtol=1e-3, atol=1e-3)


def test_another_task_moves_a_gate_in_ratio_mode_alone() -> None:
    alone = np.zeros_like(SLOPES)
    alone[1] = SLOPES[1]
    learns = {}
    for mode in ("exact", "ratio"):
        result = gradient(gate(function="additive_square", mode=mode), INPUTS, alone)
        learns[mode] = list(np.any(result != 0.0, axis=(1, 2)))
    assert learns == {"exact": [False, True, False, False], "ratio": [True] * TASKS}


def test_correlations_are_not_rounded_under_mixed_precision() -> None:
    exact, mixed = gate(), gate(dtype="mixed_bfloat16")
    assert mixed(INPUTS).dtype == tf.bfloat16
    ones = np.ones_like(SLOPES)
    np.testing.assert_array_equal(gradient(mixed, INPUTS, ones), gradient(exact, INPUTS, ones))


def test_gates_start_near_equal_shares_and_no_two_alike() -> None:
    values = VirtualGradientGate(TASKS, 8, 4)({}).numpy()
    assert values.shape == (TASKS, 8, 4)
    assert len(np.unique(values)) == values.size
    # 128 normal values stay within five standard deviations, their mean within five standard errors.
    np.testing.assert_allclose(values, 1.0 / 32.0, rtol=0.5)
    np.testing.assert_allclose(np.mean(values), 1.0 / 32.0, rtol=0.5 / np.sqrt(values.size))


def test_bad_arguments_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`function` must be one of .*Did you mean 'additive_root'\?"):
        VirtualGradientGate(2, 1, 1, function="additive_rot")
    with pytest.raises(ValueError, match=r"VirtualGradientGate: `mode` must be one of \['exact', 'ratio'\]"):
        VirtualGradientGate(2, 1, 1, mode="both")
    for argument in ("num_tasks", "num_experts", "num_mappings"):
        sizes = {"num_tasks": 1, "num_experts": 1, "num_mappings": 1, argument: 0}
        with pytest.raises(ValueError, match=f"VirtualGradientGate: `{argument}` must be a positive int"):
            VirtualGradientGate(**sizes)
    text = r"`label_correlation.shape` must have size 4 on axis 0. Received: label_correlation.shape=\(2, 2\)"
    with pytest.raises(ValueError, match=text):
        gate()({"label_correlation": CORRELATION[:2, :2]})
    with pytest.raises(ValueError, match=r"`label_correlation.shape` must be \(T, T\)"):
        gate()({"label_correlation": CORRELATION[0]})
    with pytest.raises(ValueError, match=r"`label_correlation.shape` must have size 4 on axis 1"):
        VirtualGradientGate(TASKS, 1, 1).build({"label_correlation": (4, 3)})
