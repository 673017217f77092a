"""Adam takes the steps of Keras's Adam, bit for bit, in a smaller graph."""

import gc
import weakref
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmtl.optimizers import Adam, LazyAdam

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "another": {"learning_rate": 0.03, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    "schedule": {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)},
    "amsgrad": {"learning_rate": 0.03, "amsgrad": True},
    "clipped and decayed": {"learning_rate": 0.03, "global_clipnorm": 0.1, "weight_decay": 0.01},
    "accumulating": {"learning_rate": 0.03, "gradient_accumulation_steps": 2},
}
SHAPES = ((5, 3), (3,), ())


def weights() -> list[keras.Variable]:
    generator = np.random.default_rng(0)
    return [keras.Variable(generator.normal(size=shape).astype("float32")) for shape in SHAPES]


def gradients(seed: int, sparse: bool) -> list[Any]:
    generator = np.random.default_rng(seed)
    found = [tf.constant(generator.normal(size=shape), tf.float32) for shape in SHAPES]
    return [tf.IndexedSlices(found[0][1:3], tf.constant([4, 0]), tf.constant([5, 3])), *found[1:]] if sparse else found


def stepped(optimizer: keras.optimizers.Optimizer, in_graph: bool, sparse: bool) -> list[np.ndarray]:
    """Weights and state after five steps."""
    variables = weights()
    optimizer.build(variables)
    step = lambda found: optimizer.apply(found, variables)  # noqa: E731
    if in_graph:
        step = tf.function(step)
    for seed in range(5):
        step(gradients(seed, sparse))
    return [variable.numpy() for variable in (*variables, *optimizer.variables)]


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("options", OPTIONS)
def test_steps_are_those_of_keras(options: str, in_graph: bool) -> None:
    ours, theirs = (stepped(make(**OPTIONS[options]), in_graph, False) for make in (Adam, keras.optimizers.Adam))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(ours[0], weights()[0].numpy())


def test_gradients_of_rows_too() -> None:
    ours, theirs = (stepped(make(0.1), True, True) for make in (Adam, keras.optimizers.Adam))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_of_several_types_have_a_rate_each() -> None:
    def after(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
        variables = [keras.Variable([1.0, 2.0], dtype=dtype) for dtype in ("float32", "float64")]
        for _ in range(3):
            optimizer.apply([tf.constant([0.1, -0.3], variable.dtype) for variable in variables], variables)
        return [variable.numpy() for variable in variables]

    for one, other in zip(after(Adam(0.1)), after(keras.optimizers.Adam(0.1)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_rate_is_computed_once_a_step() -> None:
    def powers(optimizer: keras.optimizers.Optimizer) -> int:
        variables = weights()
        optimizer.build(variables)
        graph = tf.function(lambda: optimizer.apply(gradients(0, False), variables)).get_concrete_function().graph
        return sum(operation.type == "Pow" for operation in graph.get_operations())

    assert powers(Adam()) == 2
    assert powers(keras.optimizers.Adam()) == 2 * len(SHAPES)


def graph_of_a_step(kind: type[keras.optimizers.Optimizer]) -> "weakref.ref[Any]":
    optimizer, variables = kind(), weights()[:2]
    optimizer.build(variables)
    step = tf.function(lambda: optimizer.apply([tf.ones(shape) for shape in SHAPES[:2]], variables), autograph=False)
    return weakref.ref(step.get_concrete_function().graph)


@pytest.mark.parametrize(("kind", "stays"), [(Adam, False), (LazyAdam, False), (keras.optimizers.Adam, True)])
def test_the_graph_of_a_step_goes_with_the_step(kind: type[keras.optimizers.Optimizer], stays: bool) -> None:
    """Keras's exchange of one replica with itself registers a gradient that keeps it for good."""
    graph = graph_of_a_step(kind)
    gc.collect()
    assert (graph() is not None) is stays
