"""What one step of training takes away from the weights."""

import keras
import numpy as np

from tests.unit.models.random_batch import random_batch
from tfmtl.balancing import Balancer
from tfmtl.models import MultiTaskModel

PRESETS = {
    "mmoe": ("mmoe", {}),
    "shared bottom": ("shared_bottom", {}),
    "single task": ("single_task", {}),
    "ple": ("ple", {}),
    "cgc": ("ple", {"num_levels": 1}),
    "dtrn": ("dtrn", {}),
    "dtrn on ple": ("dtrn", {"sharing": "ple"}),
    "dephn": ("dephn", {}),
    "apem": ("apem", {}),
    "aitm": ("aitm", {"expectation_weight": 0.0}),
    "esmm": ("esmm", {}),
}


def step_of(model: MultiTaskModel, balancing: Balancer | None, labels=None, **arguments) -> list[np.ndarray]:
    """What one step of gradient descent at rate 1 takes away from every weight; the weights are put back."""
    features, known = random_batch(model.inputs)
    before = [weight.numpy() for weight in model.trainable_weights]
    arguments.setdefault("run_eagerly", True)
    model.compile(keras.optimizers.SGD(1.0), balancing=balancing, **arguments)
    model.train_on_batch(features, {**known, **(labels or {})})
    steps = [old - weight.numpy() for old, weight in zip(before, model.trainable_weights, strict=True)]
    for weight, old in zip(model.trainable_weights, before, strict=True):
        weight.assign(old)
    return steps


def assert_close(actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def mine(model: MultiTaskModel) -> list[bool]:
    """For every trainable weight, whether it belongs to single tasks."""
    above = {id(weight) for layer in model.task_layers() for weight in layer.trainable_weights}
    private = above | {id(weight) for weight in model.private_weights()}
    return [id(weight) in private for weight in model.trainable_weights]
