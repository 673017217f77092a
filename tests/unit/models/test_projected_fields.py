"""Projecting small tables before they are looked up gives what projecting the looked-up rows gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model
from tests.unit.models.one_step import PRESETS, assert_close, step_of
from tests.unit.models.random_batch import random_batch
from tfmtl import optimizers, schema
from tfmtl.models.steps.projected_fields import ProjectedFields, product, projected_fields, transposed
from tfmtl.schema import BinaryTask, CategoricalFeature, ModelInputs, Problem

ALL = 10**6


def small_model():
    """Five fields in tables of 3 to 40 rows, two of them sharing one; and one in a large table."""
    names, rows = ("a", "b", "c", "d", "e"), (3, 11, 40, 40, 500)
    features = [CategoricalFeature(name, dim=4, table="cd" if name in "cd" else None) for name in names]
    problem = Problem(
        "small",
        tuple(features),
        tuple(BinaryTask(name) for name in ("x", "y")),
        split=schema.Split(by="column", column="part"),
    )
    tables = {"a": 3, "b": 11, "cd": 40, "e": 500}
    inputs = ModelInputs(problem, tables, {"x": 0.5, "y": 0.5}, {})
    keras.utils.set_random_seed(0)
    model = tiny_model(inputs, "mmoe")
    generator = np.random.default_rng(1)
    ids = {name: generator.integers(0, count, 64).astype("int32") for name, count in zip(names, rows, strict=True)}
    labels = {name: generator.integers(0, 2, 64).astype("float32") for name in ("x", "y")}
    return model, ids, labels


@pytest.mark.parametrize("case", ["mmoe", "shared bottom", "single task", "ple", "cgc", "esmm", "aitm"])
def test_a_step_is_the_same(case: str) -> None:
    preset, options = PRESETS[case]
    model = tiny_model(tiny_inputs(), preset, **options)
    plain = step_of(model, None, max_projected_rows=0)
    assert projected_fields(model, 32) is None
    for most in (12, ALL):  # with 12, shared tables and others among those that stay
        projected = step_of(model, None, max_projected_rows=most)
        assert projected_fields(model, 32).fields
        assert_close(projected, plain)
        assert any(np.any(one != other) for one, other in zip(projected, plain, strict=True))  # took the other way


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.Split(
            optimizers.LazyAdam(0.01, global_clipnorm=0.01), keras.optimizers.Adam(0.01, global_clipnorm=0.01)
        ),
        lambda: optimizers.Split(optimizers.Adagrad(0.1), keras.optimizers.SGD(0.1)),
    ],
    ids=["LazyAdam, clipped", "Adagrad"],
)
def test_training_is_the_same_in_graphs(optimizer, jit_compile: bool) -> None:
    found, areas = [], []
    for most in (0, ALL, None):
        model, ids, labels = small_model()
        model.compile(optimizer(), balancing="uncertainty", jit_compile=jit_compile, max_projected_rows=most)
        batches = tf.data.Dataset.from_tensors((ids, labels, np.linspace(0.0, 2.0, 64, dtype="float32"))).repeat(4)
        history = model.fit(batches, verbose=0).history
        areas.append([history.pop(name) for name in sorted(history) if name.endswith("auc")])
        found.append([*[w.numpy() for w in model.trainable_weights], *map(np.asarray, history.values())])
    assert_close(found[1], found[0])
    assert_close(found[2], found[0])
    # Sums in another order: two scores that a rounding puts the other way round change an area by their pair.
    np.testing.assert_allclose(areas[1:], [areas[0]] * 2, atol=1e-3)
    assert len(areas[0]) > 0


def test_rows_that_no_example_reads_stay() -> None:
    model, ids, labels = small_model()
    ids = {name: np.where(values == 1, 2, values) for name, values in ids.items()}
    model.compile(embedding_optimizer=optimizers.LazyAdam(0.1), max_projected_rows=ALL)
    model.build()
    before = model.embedding.tables["4"].numpy()
    for _ in range(2):
        model.train_on_batch(ids, labels)
    moved = np.any(model.embedding.tables["4"].numpy() != before, axis=1)
    read = np.unique(model.embedding.row_ids(ids)["4"].numpy())
    missing = [model.embedding.plan.feature_rows(name).start for name in "abce"]
    assert set(np.flatnonzero(moved)) == set(read) - set(missing)


def test_product_and_gradients_against_numpy() -> None:
    model, ids, _ = small_model()
    fields = ProjectedFields(model, 50)
    assert [field.count for field in fields.fields] == [3, 11, 40, 40]
    table = model.embedding.tables["4"].numpy()
    row_ids = model.embedding.row_ids(ids)["4"]
    kernels = [layer.kernel.numpy() for layer in fields.layers]
    generator = np.random.default_rng(2)
    joined = np.concatenate([kernel.transpose(1, 0, 2).reshape(kernel.shape[1], -1) for kernel in kernels], axis=1)
    read = np.stack([table[row_ids[:, k]] * (ids[name] != 0)[:, None] for k, name in enumerate("abcd")], axis=1)
    x = read.reshape(64, 16)

    rows, counts = fields.read_rows(row_ids)
    matrix = fields.matrix(rows, counts)
    tables = tf.gather(table, fields.table_rows())
    values = [tf.constant(kernel) for kernel in kernels]
    summed = product(matrix, fields.project(tables, values)).numpy()
    np.testing.assert_allclose(summed, x @ joined[:16], rtol=1e-4, atol=1e-6)

    gradient = generator.normal(size=summed.shape).astype("float32")
    back = product(transposed(matrix), gradient)
    rows_gradient, kernel_gradients = fields.project_back(tables, values, back)
    expected = np.zeros_like(table)
    for k, name in enumerate("abcd"):
        np.add.at(expected, row_ids[:, k].numpy(), (ids[name] != 0)[:, None] * (gradient @ joined[4 * k : 4 * k + 4].T))
    slices = fields.slices(row_ids, None, rows, rows_gradient)
    found = np.zeros_like(table)
    np.add.at(found, slices.indices.numpy(), slices.values.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    for kernel, one in zip(kernels, kernel_gradients, strict=True):
        flat = one.numpy().transpose(1, 0, 2).reshape(kernel.shape[1], -1)
        columns, joined_gradient = flat.shape[1], x.T @ gradient
        np.testing.assert_allclose(flat[:16], joined_gradient[:, :columns], rtol=1e-3, atol=1e-4)
        assert not flat[16:].any()
        gradient = gradient[:, columns:]


def test_the_same_bits_every_time() -> None:
    model, ids, _ = small_model()
    fields = ProjectedFields(model, 50)
    ids = {name: np.tile(values, 64) for name, values in ids.items()}
    rows, counts = fields.read_rows(model.embedding.row_ids(ids)["4"])
    gradient = tf.random.stateless_normal((64 * 64, 300), [1, 2])
    first, *others = [product(transposed(fields.matrix(rows, counts)), gradient).numpy() for _ in range(20)]
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("most", [2, None], ids=["tables too large", "size of the batch unknown"])
def test_fields_are_looked_up_first_where_that_may_be_cheaper(most) -> None:
    model, _, _ = small_model()
    model.compile(max_projected_rows=most)
    assert projected_fields(model, None) is None


def test_fields_are_looked_up_first_in_bfloat16() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model, _, _ = small_model()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(max_projected_rows=ALL)
    assert projected_fields(model, 64) is None


def test_bottoms_that_do_not_start_with_the_fields_take_no_part() -> None:
    model = tiny_model(tiny_inputs(), "dtrn")
    model.compile(max_projected_rows=ALL)
    assert projected_fields(model, 1024) is None


@pytest.mark.parametrize(("given", "error"), [(-1, ValueError), (2.5, TypeError)])
def test_bad_argument(given, error) -> None:
    model, _, _ = small_model()
    with pytest.raises(error, match="MultiTaskModel: `max_projected_rows` must"):
        model.compile(max_projected_rows=given)


def test_sharpness_moves_the_rows_that_are_looked_up() -> None:
    model, ids, labels = small_model()
    results = []
    for most in (0, ALL):
        results.append(step_of_small(model, ids, labels, sharpness="sam", max_projected_rows=most))
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)


def step_of_small(model, ids, labels, **arguments):
    before = [weight.numpy() for weight in model.trainable_weights]
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True, **arguments)
    model.train_on_batch(ids, labels)
    after = [weight.numpy() for weight in model.trainable_weights]
    for weight, old in zip(model.trainable_weights, before, strict=True):
        weight.assign(old)
    return after


def test_random_batch_reads_missing_ids() -> None:
    """The batch of the steps above is one on which the mask of id 0 matters."""
    features, _ = random_batch(tiny_inputs())
    assert any((np.asarray(features[name]) == 0).any() for name in ("item", "previous_item", "user"))
