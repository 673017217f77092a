"""Under an optimizer that scales the loss, balancers see the gradients as they are."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model, tiny_problem
from tests.unit.models.random_batch import random_batch
from tfmtl.balancing import BALANCERS, Balancer
from tfmtl.core.types import Tensor
from tfmtl.models import MultiTaskModel
from tfmtl.sharpness import SAM

SCALES = (1024.0, 2.0**15)
PATHS = {
    "parameters": {},
    "representation": {"balance_at": "representation"},
    "decomposed": {"sharpness": SAM(rho=0.01, decomposed=True)},
    "sharp": {"sharpness": SAM(rho=0.01)},
}


class Looks(Balancer):
    """Weighs all tasks alike, and keeps the Gramians that it and its copies were shown."""

    uses_gramian: ClassVar[bool] = True
    gramians: ClassVar[list[np.ndarray]] = []

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        self.gramians.append(gramian.numpy())
        return tf.ones_like(losses)


def model_of(task_weight: float = 1.0) -> MultiTaskModel:
    problem = tiny_problem()
    tasks = tuple(dataclasses.replace(task, weight=task_weight * task.weight) for task in problem.tasks)
    return tiny_model(tiny_inputs(dataclasses.replace(problem, tasks=tasks)), "shared_bottom")


def step_of(model: MultiTaskModel, scale: float | None, balancing: Balancer, **arguments) -> list[np.ndarray]:
    """What a step of gradient descent takes away; the weights are put back."""
    features, labels = random_batch(model.inputs)
    before = [weight.numpy() for weight in model.trainable_weights]
    optimizer: keras.optimizers.Optimizer = keras.optimizers.SGD(1.0)
    if scale is not None:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
    model.compile(optimizer, balancing=balancing, run_eagerly=True, **arguments)
    model.train_on_batch(features, labels)
    steps = [old - weight.numpy() for old, weight in zip(before, model.trainable_weights, strict=True)]
    for weight, old in zip(model.trainable_weights, before, strict=True):
        weight.assign(old)
    return steps


@pytest.mark.parametrize("path", PATHS)
def test_the_gramian_does_not_know_of_the_scale(path: str) -> None:
    """For gradients of every size: the tasks' weights in the problem make them so."""
    first, expected = model_of(), None
    for task_weight, scale in ((1.0, None), (1.0, 1024.0), (1e-6, 2.0**15), (1e6, 2.0**15)):
        model = model_of(task_weight)
        for weight, value in zip(model.trainable_weights, first.trainable_weights, strict=True):
            weight.assign(value)
        Looks.gramians.clear()
        step_of(model, scale, Looks(), **PATHS[path])
        found = np.array(Looks.gramians) / task_weight**2
        expected = found if expected is None else expected
        assert len(found) == (2 if path == "decomposed" else 1)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize("name", BALANCERS)
def test_every_balancer_takes_the_step_it_takes_without_a_scale(name: str) -> None:
    model = model_of()
    plain = step_of(model, None, BALANCERS[name]())
    for scale in SCALES:
        scaled = step_of(model, scale, BALANCERS[name]())
        for one, other in zip(scaled, plain, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5 * max(float(np.abs(other).max()), 1e-3))


@pytest.mark.parametrize("gradient_scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("name", [name for name, method in BALANCERS.items() if method.uses_gramian])
def test_every_balancer_on_gradients_of_any_size(name: str, gradient_scale: float) -> None:
    """Weights follow from the gradients' directions and relative lengths; Nash-MTL's step has one length for all."""
    rows = np.random.default_rng(0).normal(size=(3, 8)) * np.array([[1.0], [0.2], [4.0]])
    found = []
    for scale in (1.0, gradient_scale):
        balancer = BALANCERS[name]()
        balancer.build(3)
        found.append(balancer.weights(tf.ones(3), tf.constant(scale**2 * rows @ rows.T)).numpy())
    factor = 1.0 / gradient_scale if name == "nash_mtl" else 1.0
    np.testing.assert_allclose(found[1], factor * found[0], rtol=1e-4)


@pytest.mark.parametrize("name", [name for name, method in BALANCERS.items() if method.uses_gramian])
def test_a_step_that_overflows_is_skipped_and_forgotten(name: str) -> None:
    """The first scale of a run is often too large: gradients are infinite, and the optimizer lowers the scale."""
    model = model_of()
    features, labels = random_batch(model.inputs)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=3e38)
    model.compile(optimizer, balancing=BALANCERS[name](), run_eagerly=True)
    before = [weight.numpy() for weight in model.trainable_weights]
    model.train_on_batch(features, labels)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)
    optimizer.dynamic_scale.assign(8.0)
    model.train_on_batch(features, labels)
    assert all(np.all(np.isfinite(weight.numpy())) for weight in model.trainable_weights)
    assert any(np.any(w.numpy() != old) for w, old in zip(model.trainable_weights, before, strict=True))
