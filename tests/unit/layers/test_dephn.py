"""Heterogeneous experts: the reference, the two logits, who learns from whom, and the virtual gradient."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.dephn_reference import MAPPINGS, cross, field_interaction, leaky_network, virtual_gradient_scale
from tests.support.layer_checks import randomize_weights
from tests.unit.layers.test_interaction_experts import cross_weights, interaction_weights
from tfmtl.layers.sharing.heterogeneous import HeterogeneousExperts

TASKS, FIELDS, DIM, BATCH, PUBLIC, PRIVATE = 3, 2, 3, 5, 2, 2
WIDTH, HIDDEN = FIELDS * DIM, (7, 4)
STREAMS = np.random.default_rng(0).normal(size=(BATCH, TASKS + 1, WIDTH)).astype("float32")
CORRELATION = np.array([[1.0, 0.9, 0.3], [0.9, 1.0, 0.55], [0.3, 0.55, 1.0]], "float32")
SLOPES = np.random.default_rng(1).normal(size=200).astype("float32")
SIZES = {"num_public_experts": PUBLIC, "num_private_experts": PRIVATE, "hidden_units": HIDDEN, "num_layers": 2}
KINDS = pytest.mark.parametrize("private_experts", ["cross_field", "mlp"])


def experts(inputs: np.ndarray = STREAMS, num_tasks: int = TASKS, **arguments) -> HeterogeneousExperts:
    layer = HeterogeneousExperts(num_tasks, DIM, **{**SIZES, **arguments})
    layer.build((None, *inputs.shape[1:]))
    randomize_weights(layer)
    return layer


def networks(layer, stack: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(dense.kernel.numpy()[stack], dense.bias.numpy()[stack]) for dense in layer.dense_layers]


def private_output(layer: HeterogeneousExperts, stack: int, own: np.ndarray) -> list[np.ndarray]:
    if layer.private_experts == "mlp":
        return [leaky_network(own, networks(layer.private, stack))]
    fields = field_interaction(own.reshape(FIELDS, DIM), interaction_weights(layer.interactions, stack))
    return [cross(own, cross_weights(layer.crosses, stack)), fields.reshape(-1)]


def reference(layer: HeterogeneousExperts, own: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Public parts and then private ones, from what each task, `(B, T, H)`, and all, `(B, H)`, read."""
    gates, rows = layer.gate.gates.numpy(), []
    for b in range(BATCH):
        for t in range(layer.num_tasks):
            parts = []
            for k in range(layer.num_public_experts):
                output = leaky_network(shared[b], networks(layer.public, k))
                parts += [gates[t, k, p] * MAPPINGS[name](output) for p, name in enumerate(layer.mappings)]
            for k in range(layer.num_private_experts):
                parts += private_output(layer, t * layer.num_private_experts + k, own[b, t])
            rows.append(np.concatenate(parts))
    return np.stack(rows).reshape(BATCH, layer.num_tasks, -1)


def task_gradients(layer: HeterogeneousExperts, task: int, weights: list) -> list[np.ndarray]:
    with tf.GradientTape() as tape:
        outputs = layer(STREAMS)[:, task]
        loss = tf.reduce_sum(outputs * SLOPES[: outputs.shape[-1]])
    gradients = tape.gradient(loss, [weight.value for weight in weights], unconnected_gradients="zero")
    return [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


@KINDS
@pytest.mark.parametrize("streams", [1, TASKS, TASKS + 1])
@pytest.mark.parametrize("mappings", [("identity", "sin"), ("cos",), ("identity", "sin", "cos")])
def test_experts_equal_the_reference(streams: int, mappings: tuple[str, ...], private_experts: str) -> None:
    inputs = STREAMS[:, :streams]
    layer = experts(inputs, mappings=mappings, private_experts=private_experts)
    own = np.broadcast_to(inputs, (BATCH, TASKS, WIDTH)) if streams == 1 else inputs[:, :TASKS]
    shared = inputs[:, TASKS] if streams > TASKS else np.mean(inputs, axis=1)
    expected = reference(layer, own, shared)
    result = layer(inputs)
    assert result.shape == expected.shape == layer.compute_output_shape(inputs.shape)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("streams", [1, 2])
def test_one_task_alone_equals_the_reference(streams: int) -> None:
    inputs = STREAMS[:, :streams]
    layer = experts(inputs, num_tasks=1)
    assert not layer.uses_label_correlation
    expected = reference(layer, inputs[:, :1], inputs[:, -1])
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-4, atol=1e-4)


def test_low_rank_crosses_equal_the_reference() -> None:
    layer = experts(cross_rank=2)
    np.testing.assert_allclose(
        layer(STREAMS), reference(layer, STREAMS[:, :TASKS], STREAMS[:, TASKS]), rtol=1e-4, atol=1e-4
    )


def test_a_linear_head_adds_the_logits_of_public_and_private_experts() -> None:
    layer = experts()
    outputs = layer(STREAMS).numpy().astype("float64")
    public_width = PUBLIC * 2 * HIDDEN[-1]
    head = np.random.default_rng(2).normal(size=outputs.shape[-1])
    gates = layer.gate.gates.numpy()
    for b, t in np.ndindex(BATCH, TASKS):
        public, private = 0.0, 0.0
        of_public = iter(np.split(head[:public_width], 2 * PUBLIC))
        of_private = iter(np.split(head[public_width:], 2 * PRIVATE))
        for k in range(PUBLIC):
            output = leaky_network(STREAMS[b, TASKS], networks(layer.public, k))
            for p, view in enumerate((output, np.sin(output))):
                public += next(of_public) @ (gates[t, k, p] * view)
        for k in range(PRIVATE):
            for part in private_output(layer, t * PRIVATE + k, STREAMS[b, t]):
                private += next(of_private) @ part
        np.testing.assert_allclose(outputs[b, t] @ head, public + private, rtol=1e-4, atol=1e-3)


@KINDS
@pytest.mark.parametrize("function", ["additive_root", "multiplicative_cosine"])
def test_virtual_gradient_changes_the_gates_gradient_alone(function: str, private_experts: str) -> None:
    layer = experts(function=function, private_experts=private_experts)

    def step(label_correlation) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        with tf.GradientTape() as tape:
            outputs = layer(STREAMS, label_correlation=label_correlation)
            loss = tf.reduce_mean(tf.sin(outputs) * SLOPES[: outputs.shape[-1]])
        gradients = tape.gradient(loss, [weight.value for weight in layer.trainable_weights])
        paths = [weight.path for weight in layer.trainable_weights]
        values = [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
        return outputs.numpy(), dict(zip(paths, values, strict=True))

    plain_outputs, plain = step(None)
    scaled_outputs, scaled = step(CORRELATION)
    np.testing.assert_array_equal(scaled_outputs, plain_outputs)
    gates = layer.gate.gates
    scale = virtual_gradient_scale(gates.numpy(), CORRELATION, function)
    np.testing.assert_allclose(scaled.pop(gates.path), scale * plain.pop(gates.path), rtol=1e-4, atol=1e-7)
    assert np.any(np.abs(scale - 1.0) > 0.1)
    assert len(plain) == len(layer.trainable_weights) - 1
    for path, gradient in plain.items():
        np.testing.assert_array_equal(scaled[path], gradient)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_with_a_correlation_give_the_outputs_without(jit_compile: bool) -> None:
    layer = experts()
    graph = tf.function(
        lambda inputs, correlation: layer(inputs, label_correlation=correlation),
        input_signature=[tf.TensorSpec((None, TASKS + 1, WIDTH)), tf.TensorSpec((TASKS, TASKS))],
        jit_compile=jit_compile,
    )
    np.testing.assert_allclose(graph(STREAMS, CORRELATION), layer(STREAMS), rtol=1e-5, atol=1e-5)


def test_a_first_call_with_a_correlation_builds_the_layer() -> None:
    layer = HeterogeneousExperts(TASKS, DIM, **SIZES)
    result = layer(STREAMS, label_correlation=CORRELATION)
    np.testing.assert_array_equal(result, layer(STREAMS))


def test_correlations_are_not_rounded_under_mixed_precision() -> None:
    gradients = []
    for correlation in (CORRELATION, tf.cast(tf.cast(CORRELATION, "bfloat16"), "float32")):
        layer = experts(dtype="mixed_bfloat16")
        with tf.GradientTape() as tape:
            outputs = layer(STREAMS, label_correlation=correlation)
            loss = tf.reduce_sum(tf.cast(outputs, "float32") * SLOPES[: outputs.shape[-1]])
        assert outputs.dtype == tf.bfloat16
        gradients.append(tf.convert_to_tensor(tape.gradient(loss, layer.gate.gates.value)).numpy())
    # Were it rounded inside, both would be the same.
    assert np.any(gradients[0] != gradients[1])


@KINDS
@pytest.mark.parametrize("task", range(TASKS))
def test_private_weights_learn_from_their_task_alone(private_experts: str, task: int) -> None:
    layer = experts(private_experts=private_experts)
    if private_experts == "mlp":
        private = layer.private.trainable_weights
    else:
        private = [*layer.crosses.trainable_weights, *layer.interactions.trainable_weights]
    expected = np.repeat(np.arange(TASKS) == task, PRIVATE)
    for weight, gradient in zip(private, task_gradients(layer, task, private), strict=True):
        # Kernels start with the stacks, biases and residual scales of all layers with the layers.
        by_stack = gradient if len(gradient) == TASKS * PRIVATE else np.swapaxes(gradient, 0, 1)
        learns = np.any(by_stack.reshape(TASKS * PRIVATE, -1) != 0.0, axis=1)
        np.testing.assert_array_equal(learns, expected, err_msg=weight.path)


@KINDS
def test_public_experts_learn_from_every_task_and_gates_from_their_own(private_experts: str) -> None:
    layer = experts(private_experts=private_experts)
    for task in range(TASKS):
        for gradient in task_gradients(layer, task, layer.public.trainable_weights):
            assert np.all(np.any(gradient.reshape(PUBLIC, -1) != 0.0, axis=1))
        [gradient] = task_gradients(layer, task, [layer.gate.gates])
        learns = np.any(gradient != 0.0, axis=(1, 2))
        np.testing.assert_array_equal(learns, np.arange(TASKS) == task)


@KINDS
@pytest.mark.parametrize("stream", range(TASKS + 1))
def test_public_experts_read_the_last_stream_and_private_ones_their_tasks(private_experts: str, stream: int) -> None:
    layer = experts(private_experts=private_experts)
    other = STREAMS.copy()
    other[:, stream] += 1.0
    changed = np.any(layer(other).numpy() != layer(STREAMS).numpy(), axis=0)  # (T, H')
    public_width = PUBLIC * 2 * HIDDEN[-1]
    np.testing.assert_array_equal(np.any(changed[:, :public_width], axis=1), [stream == TASKS] * TASKS)
    np.testing.assert_array_equal(np.any(changed[:, public_width:], axis=1), np.arange(TASKS) == stream)


def test_tasks_start_different_on_the_same_input() -> None:
    result = HeterogeneousExperts(TASKS, DIM, **SIZES)(STREAMS[:, :1]).numpy()
    width = PUBLIC * 2 * HIDDEN[-1]
    for part in (result[..., :width], result[..., width:]):
        assert np.any(part[:, 0] != part[:, 1])
        assert np.any(part[:, 1] != part[:, 2])


def test_dropout_acts_in_training_alone() -> None:
    layer = experts(dropout=0.5)
    plain = layer(STREAMS)
    np.testing.assert_array_equal(layer(STREAMS, training=False), plain)
    width = PUBLIC * 2 * HIDDEN[-1]
    trained = layer(STREAMS, training=True).numpy()
    assert np.any(trained[..., :width] != plain[..., :width])
    np.testing.assert_array_equal(trained[..., width:], plain[..., width:])


def test_a_correlation_is_used_where_it_can_change_a_gradient() -> None:
    assert HeterogeneousExperts(2, DIM).uses_label_correlation
    assert not HeterogeneousExperts(2, DIM, function=None).uses_label_correlation
    assert not HeterogeneousExperts(1, DIM).uses_label_correlation
    assert HeterogeneousExperts(2, DIM, correlation="cosine").correlation == "cosine"


def test_bad_arguments_and_shapes_are_refused() -> None:
    for argument in ("num_tasks", "field_dim", "num_public_experts", "num_private_experts", "num_layers", "cross_rank"):
        with pytest.raises(ValueError, match=f"HeterogeneousExperts: `{argument}` must be a positive int"):
            HeterogeneousExperts(**{"num_tasks": 2, "field_dim": 2, argument: 0})
    for mappings in (("sine",), (), ("sin", "sin")):
        with pytest.raises(ValueError, match=r"`mappings` must be a non-empty sequence of different names out of"):
            HeterogeneousExperts(2, 2, mappings=mappings)
    with pytest.raises(TypeError, match=r"`mappings` must be a non-empty sequence .*Received: mappings='sin'"):
        HeterogeneousExperts(2, 2, mappings="sin")
    for argument in ("private_experts", "function", "correlation"):
        with pytest.raises(ValueError, match=f"HeterogeneousExperts: `{argument}` must be one of"):
            HeterogeneousExperts(2, 2, **{argument: "none"})
    with pytest.raises(ValueError, match=r"HeterogeneousExperts: `dropout` must lie in \[0, 1\)"):
        HeterogeneousExperts(2, 2, dropout=1.0)
    with pytest.raises(ValueError, match=r"`field_dim` must divide the width 7 of the inputs. Received: field_dim=2"):
        HeterogeneousExperts(2, 2).build((None, 1, 7))
    with pytest.raises(ValueError, match=r"`inputs.shape` must have size 1 or 3 or 4 on axis 1"):
        HeterogeneousExperts(3, 2).build((None, 2, 4))
    with pytest.raises(ValueError, match=r"`label_correlation.shape` must have size 3 on axis 0"):
        experts()(STREAMS, label_correlation=CORRELATION[:2, :2])
