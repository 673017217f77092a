"""A gradient of one's own is the same in graphs and outside of them, and no graph stays for its sake."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from tfmtl.core.custom_gradient import custom_gradient


def scaled(decorate: Callable[..., Any], factor: tf.Tensor) -> Callable[..., Any]:
    """The square, with `factor` for its gradient: told apart from TensorFlow's own."""

    @decorate
    def square(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return x * x, lambda upstream: upstream * factor

    return square


def slope(x: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = 3.0 * scaled(custom_gradient, tf.constant(7.0) + 0.0 * x)(x)
    return tape.gradient(y, x)


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_the_gradient_is_ones_own_in_graphs_as_outside(jit_compile: bool | None) -> None:
    function = slope if jit_compile is None else tf.function(slope, jit_compile=jit_compile)
    assert float(function(tf.constant(5.0))) == 21.0


def test_a_tape_around_a_function_finds_the_gradient_inside() -> None:
    inner = tf.function(lambda x: scaled(custom_gradient, tf.constant(7.0))(x))
    branches = tf.function(lambda x: tf.cond(x > 0.0, lambda: inner(x), lambda: x), autograph=False)
    for function in (inner, branches):
        x = tf.constant(5.0)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        gc.collect()
        assert float(tape.gradient(y, x)) == 7.0


@pytest.mark.parametrize(("decorate", "stays"), [(custom_gradient, False), (tf.custom_gradient, True)])
def test_a_graph_goes_with_its_function(decorate: Callable[..., Any], stays: bool) -> None:
    function = tf.function(lambda x: scaled(decorate, 7.0 + 0.0 * x)(x))
    graph = weakref.ref(function.get_concrete_function(tf.TensorSpec(())).graph)
    assert graph() is not None
    del function
    gc.collect()
    assert (graph() is not None) is stays
