"""STEM: every task has embeddings and experts of its own, reads all experts, and teaches its own and shared ones."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.recipes.inputs import encoded_features, model_inputs
from tests.support.layer_checks import randomize_weights
from tests.support.tiny_problem import tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.layers import STEM, ConcatenationBottom, FeatureEmbedding, STEMBottom

TASKS, SPECIFIC, SHARED, BATCH, WIDTH = 3, 2, 2, 5, 6
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(BATCH, TASKS + 1, WIDTH)).astype("float32")


def layer() -> STEM:
    made = STEM(TASKS, SPECIFIC, SHARED, (7, 4), "tanh")
    made.build(INPUTS.shape)
    randomize_weights(made)
    return made


def expert(stack, number: int, x: np.ndarray) -> np.ndarray:
    for dense in stack.dense_layers:
        x = np.tanh(x @ dense.kernel.numpy()[number] + dense.bias.numpy()[number])
    return x


def test_it_equals_the_reference_without_stop_gradients() -> None:
    made = layer()
    kernels = made.gate.logits.kernel.numpy()
    expected, gates = np.zeros((BATCH, TASKS, 4)), []
    for b, k in np.ndindex(BATCH, TASKS):
        shared = INPUTS[b, TASKS]
        outputs = [
            *(expert(made.specific_experts, j * SPECIFIC + m, INPUTS[b, j]) for j, m in np.ndindex(TASKS, SPECIFIC)),
            *(expert(made.shared_experts, m, shared) for m in range(SHARED)),
        ]
        logits = (INPUTS[b, k] + shared) @ kernels[k]
        gate = np.exp(logits - logits.max())
        gates.append(gate / gate.sum())
        expected[b, k] = gates[-1] @ np.array(outputs)
    np.testing.assert_allclose(made(INPUTS), expected, rtol=1e-4, atol=1e-5)
    [watched] = made.gate_weights(INPUTS)
    np.testing.assert_allclose(np.sum(watched, axis=-1), 1.0, rtol=1e-5)
    for task in range(TASKS):
        own = np.array(gates).reshape(BATCH, TASKS, -1)[:, task, task * SPECIFIC : (task + 1) * SPECIFIC]
        np.testing.assert_allclose(watched[:, task, :SPECIFIC], own, rtol=1e-4)


def test_a_task_reads_what_others_know_and_does_not_teach_them() -> None:
    made = layer()
    inputs = tf.Variable(INPUTS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(made(inputs)[:, 1] ** 2)
    weights = [weight.value for weight in made.specific_experts.trainable_weights]
    of_inputs, *of_experts = tape.gradient(loss, [inputs, *weights])
    sizes = np.abs(tf.convert_to_tensor(of_inputs)).max(axis=(0, 2))
    assert list(sizes > 0.0) == [False, True, False, True], "its own and the shared representation"
    own = np.repeat(np.arange(TASKS) == 1, SPECIFIC)
    for gradient in of_experts:
        sizes = np.abs(tf.convert_to_tensor(gradient)).reshape(TASKS * SPECIFIC, -1).max(axis=1)
        np.testing.assert_array_equal(sizes > 0.0, own)
    changed = INPUTS.copy()
    changed[:, 0] += 1.0
    assert np.any(made(changed)[:, 1] != made(INPUTS)[:, 1])


@pytest.mark.parametrize("pooling", ["mean", "target"])
def test_a_tasks_loss_reaches_its_own_embeddings_and_the_shared_ones_alone(
    tiny_data: PreparedData, pooling: str
) -> None:
    model = tiny_model(tiny_data.inputs, "stem", pooling=pooling)
    features, _ = whole_split(tiny_data, "train")
    tasks = tiny_data.inputs.task_names
    vectors = model.embedding.lookup(model.embedding.row_ids(features))
    assert len(vectors) == 2, "or the projection of narrow embeddings is not tried"
    for number, task in enumerate(tasks):
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            bottom = model.bottom(model.embedding(features, vectors))
            raw = model.head_outputs(model.share(bottom))[task]
            loss = tf.reduce_sum(raw**2)
        expected = [place in (number, len(tasks)) for place in range(len(tasks) + 1)]
        for width, gradient in tape.gradient(loss, vectors).items():
            parts = np.abs(gradient).reshape(-1, len(tasks) + 1, int(width) // (len(tasks) + 1))
            assert list(parts.max(axis=(0, 2)) > 0.0) == expected, width


def test_it_learns(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs, "stem")
    model.compile()
    history = model.fit(tiny_data.train(60), epochs=6, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("pooling", ["mean", "target"])
def test_a_copy_is_what_the_usual_bottom_makes_of_its_own_embeddings(pooling: str) -> None:
    copies, own = TASKS + 1, 2
    mask = np.arange(4) < np.array([[4, 0], [2, 1], [0, 3], [1, 1], [3, 4]])[..., None]
    inputs = {
        "fields": RANDOM.normal(size=(BATCH, 3, copies * own)).astype("float32"),
        "events": RANDOM.normal(size=(BATCH, 2, 4, copies * own)).astype("float32"),
        "event_mask": mask,
        "queries": RANDOM.normal(size=(BATCH, 2, copies * own)).astype("float32"),
    }
    bottom, plain = STEMBottom(TASKS, pooling), ConcatenationBottom(pooling)
    result = bottom(inputs).numpy()
    for copy in range(copies):
        part = {
            name: value if name == "event_mask" else value[..., copy * own : (copy + 1) * own]
            for name, value in inputs.items()
        }
        plain(part)
        for weight, shared in zip(plain.weights, bottom.weights, strict=True):
            weight.assign(shared)
        np.testing.assert_allclose(result[:, copy], plain(part)[:, 0], rtol=1e-5, atol=1e-6)
    one = {name: value if name == "queries" else value[:1] for name, value in inputs.items()}
    many = {name: value if name == "queries" else np.repeat(value[:1], BATCH, axis=0) for name, value in inputs.items()}
    if pooling == "target":
        np.testing.assert_allclose(bottom(one), bottom(many), rtol=1e-5, atol=1e-6)


def test_copies_of_an_embedding_are_so_many_embeddings() -> None:
    one, three = (FeatureEmbedding(model_inputs(), copies=copies, number_bins=3) for copies in (1, 3))
    features = {name: tf.constant(value) for name, value in encoded_features().items()}
    for embedding in (one, three):
        embedding.build()
        randomize_weights(embedding)
    assert three.plan.dim == 3 * one.plan.dim
    assert one.pieces is not None and three.pieces is not None
    one.pieces.knots.assign(three.pieces.knots)
    for copy in range(3):
        for width, table in one.tables.items():
            size = int(width)
            part = three.tables[str(3 * size)].numpy()[:, copy * size : (copy + 1) * size]
            table.assign(part)
            if width in one.projections:
                one.projections[width].kernel.assign(three.projections[str(3 * size)].kernel[copy])
        dim = slice(copy * one.plan.dim, (copy + 1) * one.plan.dim)
        one.number_kernel.assign(three.number_kernel[:, dim])
        one.number_bias.assign(three.number_bias[:, dim])
        one.pieces.kernel.assign(three.pieces.kernel[:, :, dim])
        expected, found = one(features), three(features)
        for name in ("fields", "events", "queries"):
            np.testing.assert_allclose(found[name][..., dim], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(found["event_mask"], expected["event_mask"])


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"STEMBottom: `fields\.shape` must have a width that 4 embeddings can share"):
        STEMBottom(3).build({"fields": (None, 2, 6)})
    with pytest.raises(ValueError, match="STEM: `num_specific_experts` must be a positive int"):
        STEM(3, 0)
    with pytest.raises(ValueError, match="FeatureEmbedding: `copies` must be a positive int"):
        FeatureEmbedding(model_inputs(), copies=0)
