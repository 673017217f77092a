"""Balancers inside a model: they train, and their state is the model's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model
from tests.unit.models.random_batch import random_batch
from tfmtl.balancing import BALANCERS
from tfmtl.models import load
from tfmtl.optimizers import Adagrad, LazyAdam, Split


@pytest.mark.parametrize("name", BALANCERS)
def test_every_balancer_lowers_the_loss_and_goes_on_after_a_reload(name: str, tmp_path) -> None:
    model = tiny_model(tiny_inputs(), "shared_bottom")
    features, labels = random_batch(model.inputs)
    # Eagerly, since this is about values; the graph is the same code (see the tests of steps).
    model.compile(keras.optimizers.SGD(0.05), balancing=name, run_eagerly=True)
    first = model.train_on_batch(features, labels, return_dict=True)["loss"]
    for _ in range(2):
        model.train_on_batch(features, labels)
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    loaded.run_eagerly = True
    assert type(loaded.balancing) is BALANCERS[name]
    assert loaded.balancing.get_config() == model.balancing.get_config()
    for one, other in zip(loaded.balancing.variables, model.balancing.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    last = [trained.train_on_batch(features, labels, return_dict=True)["loss"] for trained in (model, loaded)]
    assert last[0] < first
    for one, other in zip(loaded.trainable_weights, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("name", ["uncertainty", "mgda"])
def test_a_balancer_in_a_compiled_graph(name: str) -> None:
    model = tiny_model(tiny_inputs(), "shared_bottom")
    features, labels = random_batch(model.inputs)
    rows = tf.data.Dataset.from_tensors((features, labels)).repeat(6)
    before = {weight.path: weight.numpy() for weight in model.trainable_weights}
    losses = []
    for arguments in ({"run_eagerly": True}, {"jit_compile": True, "balance_at": "representation"}, {}):
        for weight in model.trainable_weights:
            weight.assign(before[weight.path])
        model.compile(keras.optimizers.SGD(0.05), balancing=BALANCERS[name](), **arguments)
        losses.append(model.fit(rows, verbose=0).history["loss"][0])
    assert losses[2] == pytest.approx(losses[0], rel=1e-5)
    if name == "uncertainty":  # reads no gradients: where it is asked makes no difference
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    else:
        assert losses[1] == pytest.approx(losses[0], rel=0.2)
        assert losses[1] != pytest.approx(losses[0], rel=1e-4)


def test_optimizers_of_the_parts() -> None:
    model = tiny_model(tiny_inputs(), "shared_bottom")
    model.compile()
    assert isinstance(model.optimizer, Split)
    assert isinstance(model.optimizer.tables, LazyAdam)
    model.compile("sgd", embedding_optimizer=Adagrad(0.05))
    assert isinstance(model.optimizer.tables, Adagrad)
    assert isinstance(model.optimizer.rest, keras.optimizers.SGD)
    model.compile(embedding_optimizer="adam")
    assert isinstance(model.optimizer.tables, keras.optimizers.Adam)
    model.compile("adagrad")
    assert isinstance(model.optimizer, keras.optimizers.Adagrad)


def test_rows_that_no_example_reads_stay() -> None:
    """With the default optimizer; Keras's own moves none of them here either, but it would by their momentum."""
    model = tiny_model(tiny_inputs(), "shared_bottom")
    model.compile(run_eagerly=True)
    features, labels = random_batch(model.inputs)
    model.train_on_batch(features, labels)
    again = {key: tf.minimum(value, 2) if value.dtype == tf.int32 else value for key, value in features.items()}
    before = {width: table.numpy() for width, table in model.embedding.tables.items()}
    model.train_on_batch(again, labels)
    for width, table in model.embedding.tables.items():
        read = np.unique(model.embedding.row_ids(again)[width])
        moved = np.flatnonzero(np.any(table.numpy() != before[width], axis=1))
        assert len(moved)
        assert set(moved) <= set(read)
        assert len(read) < len(before[width])
