"""Check a balancer."""

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.testing._layer import demand

_STEPS = 4


def check_balancer(make: Callable[[], Balancer], num_tasks: int = 3) -> None:
    """Raises unless a balancer keeps what a training step relies on.

    It weighs a few steps with conflict eagerly and in a graph, is restored in between, and is shown tasks without
    labels and gradients that are not finite.

    Args:
        make: makes a new balancer, with arguments other than the defaults where that matters.
        num_tasks: int. For how many tasks, at least 2. Defaults to `3`.

    Raises:
        AssertionError: a rule is broken; the text says which, and what to do.

    Example:

    >>> import tfmtl
    >>> tfmtl.testing.check_balancer(lambda: tfmtl.balancing.PCGrad(seed=1))
    """
    balancer = make()
    demand(isinstance(balancer, Balancer), balancer, "it must derive from tfmtl.balancing.Balancer.")
    config = json.dumps(keras.saving.serialize_keras_object(balancer))
    again = keras.saving.deserialize_keras_object(json.loads(config))
    text = "`get_config` must hold every argument of the constructor."
    demand(again.get_config() == balancer.get_config(), balancer, text)
    weights = _weigh(balancer, num_tasks, range(_STEPS))
    for rows, other, text in (
        (weights, _weigh(again, num_tasks, range(_STEPS)), "a balancer made of the config must give the same weights."),
        (weights, _weigh(make(), num_tasks, range(_STEPS), compiled=True), "a graph must give what eager calls give."),
    ):
        demand(np.allclose(rows, other, rtol=1e-4, atol=1e-5), balancer, text)
    text = f"weights must be finite float32 ({num_tasks},). They are {weights.dtype}, {weights.shape[1:]}."
    fine = weights.dtype == np.float32 and weights.shape == (_STEPS, num_tasks) and bool(np.all(np.isfinite(weights)))
    demand(fine, balancer, text)
    _check_state(make, num_tasks, weights)
    _check_absent(make, num_tasks)
    _check_not_finite(make, num_tasks)


def _given(num_tasks: int, step: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Losses that fall unequally, and the Gramian of gradients in conflict."""
    generator = np.random.default_rng(step)
    losses = 0.9 ** (step * np.arange(num_tasks)) + 0.1
    rows = generator.normal(size=(num_tasks, 6)) * np.logspace(0, 1, num_tasks)[:, None]
    rows -= 0.9 * rows.mean(axis=0)
    return tf.constant(losses, tf.float32), tf.constant(rows @ rows.T)


def _weigh(balancer: Balancer, num_tasks: int, steps: range, compiled: bool = False) -> np.ndarray:
    balancer.build(num_tasks)
    weigh: Any = tf.function(balancer.weights, autograph=False) if compiled else balancer.weights
    found = []
    for step in steps:
        losses, gramian = _given(num_tasks, step)
        found.append(np.array(weigh(losses, gramian)))
        balancer.update(losses, 0.9 * losses)
    return np.array(found)


def _check_state(make: Callable[[], Balancer], num_tasks: int, weights: np.ndarray) -> None:
    balancer, half = make(), _STEPS // 2
    _weigh(balancer, num_tasks, range(half))
    names = [variable.name for variable in balancer.variables]
    demand(len(set(names)) == len(names), balancer, f"variables must have different names. They have {names}.")
    text = "what it learns must not be trainable. Create it with `add_variable` in `_create_state`."
    demand(not any(variable.trainable for variable in balancer.variables), balancer, text)
    store: dict[str, Any] = {}
    balancer.save_own_variables(store)
    restored = make()
    restored.build(num_tasks)
    restored.load_own_variables(store)
    after = _weigh(restored, num_tasks, range(half, _STEPS))
    text = "a restored balancer must go on as it would have. Create all state with `add_variable` in `_create_state`."
    demand(np.allclose(after, weights[half:], rtol=1e-5, atol=1e-6), balancer, text)


def _check_absent(make: Callable[[], Balancer], num_tasks: int) -> None:
    present = tf.constant([False] + [True] * (num_tasks - 1))
    found = []
    for factor in (1.0, 50.0):
        balancer = make()
        balancer.build(num_tasks)
        losses, gramian = _given(num_tasks, 0)
        scale = tf.constant([factor] + [1.0] * (num_tasks - 1), tf.float64)
        weights = balancer.weights(tf.cast(scale, tf.float32) * losses, gramian * scale * scale[:, None], present)
        found.append(np.array(weights))
    demand(found[0][0] == 0.0, balancer, "a task without labels in the batch must get the weight 0.")
    text = "a task without labels in the batch must not change the others' weights."
    demand(np.allclose(found[0], found[1], rtol=1e-5), balancer, text)


def _check_not_finite(make: Callable[[], Balancer], num_tasks: int) -> None:
    balancer = make()
    _weigh(balancer, num_tasks, range(1))
    before = [np.array(variable) for variable in balancer.variables]
    losses, gramian = _given(num_tasks, 1)
    if balancer.uses_gramian:
        gramian *= tf.constant(float("nan"), tf.float64)
    else:
        losses *= float("nan")
    balancer.weights(losses, gramian)
    after = [np.array(variable) for variable in balancer.variables]
    text = "gradients that are not finite must leave its state as it was: the optimizer skips such a step."
    demand(all(map(np.array_equal, before, after)), balancer, text)
    again = _weigh(balancer, num_tasks, range(2, 3))
    demand(bool(np.all(np.isfinite(again))), balancer, text)
