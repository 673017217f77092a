"""`check_layer` fails on layers with one known fault each, so a pass means something."""

import dataclasses
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tests.support import layer_checks
from tests.support.layer_checks import LayerRecipe, check_layer


class Scale(keras.layers.Layer):
    """A layer without fault; every bad one below differs from it in one thing."""

    def __init__(self, units: int = 3, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape) -> None:
        self.dense = keras.layers.Dense(self.units, dtype=self.dtype_policy)
        self.dense.build(input_shape)

    def call(self, inputs):
        return self.dense(inputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class UnbuiltSublayer(Scale):
    def build(self, input_shape) -> None:
        self.dense = keras.layers.Dense(self.units, dtype=self.dtype_policy)


class MissingConfigKey(Scale):
    def get_config(self):
        return keras.layers.Layer.get_config(self)


class UnserializableConfig(Scale):
    def get_config(self):
        return {**super().get_config(), "units": np.int64(self.units)}


class WrongOutputShape(Scale):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units + 1)


class NormalizedOverBatch(Scale):
    def call(self, inputs):
        outputs = super().call(inputs)
        return outputs - ops.mean(outputs, axis=0, keepdims=True)


class PythonBranchOnValues(Scale):
    def call(self, inputs):
        return super().call(inputs if float(ops.sum(inputs)) > 0 else -inputs)


class DifferentInGraph(Scale):
    def call(self, inputs):
        return super().call(inputs) + float(not tf.executing_eagerly())


class StateOutsideWeights(Scale):
    def build(self, input_shape) -> None:
        super().build(input_shape)
        self.offset = np.random.default_rng().normal()

    def call(self, inputs):
        return super().call(inputs) + self.offset


class DeadWeight(Scale):
    def build(self, input_shape) -> None:
        super().build(input_shape)
        self.dead = self.add_weight(shape=(3,), name="dead")


class WeightTimesZero(Scale):
    def build(self, input_shape) -> None:
        super().build(input_shape)
        self.factor = self.add_weight(shape=(1,), name="factor")

    def call(self, inputs):
        return super().call(inputs) + 0.0 * self.factor


class InfiniteGradient(Scale):
    def call(self, inputs):
        return ops.sqrt(ops.abs(super().call(inputs) * 0.0))


class LowPrecisionVariables(Scale):
    def build(self, input_shape) -> None:
        self.dense = keras.layers.Dense(self.units, dtype=self.compute_dtype)
        self.dense.build(input_shape)


class FullPrecisionOutput(Scale):
    def call(self, inputs):
        return ops.cast(super().call(inputs), "float32")


class UnknownToXLA(Scale):
    def call(self, inputs):
        return tf.strings.to_number(tf.strings.as_string(super().call(inputs)))


INPUTS = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
FAULTS = [
    (UnbuiltSublayer, "check_build", AssertionError, "these are not built: ['dense"),
    (UnbuiltSublayer, "check_saving", AssertionError, "Arrays are not equal"),
    (MissingConfigKey, "check_config", AssertionError, "lacks 'units'"),
    (UnserializableConfig, "check_config", TypeError, "not JSON serializable"),
    (WrongOutputShape, "check_shape", AssertionError, "(6, 3)"),
    (NormalizedOverBatch, "check_graph", AssertionError, "Not equal to tolerance"),
    (PythonBranchOnValues, "check_graph", TypeError, "float"),
    (DifferentInGraph, "check_xla", AssertionError, "Not equal to tolerance"),
    (StateOutsideWeights, "check_saving", AssertionError, "Arrays are not equal"),
    (DeadWeight, "check_gradients", AssertionError, "dead is not connected"),
    (WeightTimesZero, "check_gradients", AssertionError, "factor has a zero gradient"),
    (InfiniteGradient, "check_gradients", AssertionError, "kernel has a gradient that is not finite"),
    (LowPrecisionVariables, "check_mixed_precision", AssertionError, "bfloat16"),
    (FullPrecisionOutput, "check_mixed_precision", AssertionError, "float32"),
]


@pytest.fixture(autouse=True)
def _custom_objects():
    with keras.saving.custom_object_scope({layer.__name__: layer for layer in (Scale, *(row[0] for row in FAULTS))}):
        yield


def test_check_layer_passes_a_layer_without_fault() -> None:
    check_layer(LayerRecipe(Scale, INPUTS, {"units": 2}))


@pytest.mark.parametrize(("bad_layer", "check", "error", "text"), FAULTS, ids=[f"{row[0].__name__}" for row in FAULTS])
def test_check_fails_on_a_known_fault(bad_layer: type, check: str, error: type, text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        getattr(layer_checks, check)(LayerRecipe(bad_layer, INPUTS, {"units": 2}))


def test_an_operation_that_xla_lacks_is_found_without_machine_code() -> None:
    recipe = LayerRecipe(Scale, INPUTS, {"units": 2}, lowered_only=True)
    layer_checks.check_xla(recipe)
    with pytest.raises(ValueError, match="AsString"):
        layer_checks.check_xla(dataclasses.replace(recipe, layer_class=UnknownToXLA))


def test_check_layer_runs_every_check(monkeypatch) -> None:
    called = []
    monkeypatch.setattr(layer_checks, "CHECKS", [lambda recipe, n=n: called.append(n) for n in range(3)])
    check_layer(LayerRecipe(Scale, INPUTS))
    assert called == [0, 1, 2]
