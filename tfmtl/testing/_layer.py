"""Checks that apply to every layer."""

import inspect
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmtl.core.types import Tensor

BATCH = 5
_SMALL = 1e-6


def demand(fulfilled: bool, layer: Any, text: str) -> None:
    """Raises `AssertionError` with the layer's name unless it is fulfilled."""
    if not fulfilled:
        raise AssertionError(f"{type(layer).__name__}: {text}")


@keras.saving.register_keras_serializable(package="tfmtl_testing")
class Holder(keras.Model):
    """A model of one layer, for saving it as models are saved."""

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        """Builds the layer."""
        if not self.layer.built:
            self.layer.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.layer(inputs)

    def get_config(self) -> dict[str, Any]:
        return {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Holder":
        """Makes the model of a config."""
        return cls(keras.saving.deserialize_keras_object(config["layer"]))


def check_build_and_shape(make: Callable[[], keras.layers.Layer], inputs: Any) -> keras.layers.Layer:
    """A built layer with random weights, after checking that `build` makes every weight and that shapes are right."""
    layer = make()
    shapes = tf.nest.map_structure(lambda value: (None, *value.shape[1:]), inputs)
    layer.build(shapes)
    built = [weight.path for weight in layer.weights]
    outputs = layer(inputs)
    demand(
        [weight.path for weight in layer.weights] == built,
        layer,
        "`build` must create and build every sublayer. The first call made weights that `build` had not: "
        "they are not restored from a file.",
    )
    computed, found = tuple(layer.compute_output_shape(shapes)), tuple(outputs.shape)
    text = f"`compute_output_shape` must be right. It says {computed}, the output is {found}."
    demand(computed in (found, (None, *found[1:])), layer, text)
    together, alone = np.array(outputs), np.array(layer(tf.nest.map_structure(lambda value: value[:1], inputs)))
    text = "a row must not depend on the rows beside it. Alone, the first one gives another result."
    demand(np.allclose(alone, together[:1], rtol=1e-4, atol=1e-5), layer, text)
    randomize_weights(layer)
    return layer


def check_reload(make: Callable[[], keras.layers.Layer], inputs: Any) -> None:
    """The config holds every argument, and a saved layer answers bit for bit the same."""
    layer = make()
    config = layer.get_config()
    written_by_keras = type(layer).get_config is keras.layers.Layer.get_config  # which leaves out what was not given
    for name, parameter in inspect.signature(type(layer).__init__).parameters.items():
        named = name != "self" and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if named and not written_by_keras:
            text = f"`get_config` must hold every argument of the constructor. It lacks {name!r}."
            demand(name in config, layer, text)
    text = "it must be found again: register it with @keras.saving.register_keras_serializable(package=...)."
    demand(keras.saving.get_registered_object(keras.saving.get_registered_name(type(layer))) is not None, layer, text)
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(layer))))
    text = f"a config must make the same layer. {config} became {again.get_config()}."
    demand(json.dumps(again.get_config(), default=str) == json.dumps(config, default=str), layer, text)
    model = Holder(layer)
    model(inputs)
    randomize_weights(layer)
    expected = np.array(model(inputs))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved.keras"
        model.save(path)
        text = "a layer that is saved and loaded must answer the same. Look for an argument that `get_config` changes, "
        text += "or a weight or sublayer that is not made in `build`."
        try:
            loaded = np.array(keras.saving.load_model(path)(inputs))
        except (TypeError, ValueError) as error:
            raise AssertionError(f"{type(layer).__name__}: {text} {error}") from error
    demand(np.array_equal(loaded, expected), layer, text)


def randomize_weights(layer: keras.layers.Layer, seed: int = 1) -> None:
    """Sets every trainable weight to seeded values, so that nothing agrees by being zero."""
    generator = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(scale=0.5, size=weight.shape))


def reads(layer: keras.layers.Layer, inputs: Any, sources: Sequence[Tensor], count: int, **given: Any) -> list[Any]:
    """For each source, which elements the outputs `[:, k]` depend on: bool `(count, ...)`."""
    generator = np.random.default_rng(2)
    with tf.GradientTape(persistent=True) as tape:
        for source in sources:
            tape.watch(source)
        outputs = layer(inputs, **given)
        factors = tf.constant(generator.normal(size=outputs.shape), outputs.dtype)
        parts = [tf.reduce_sum((outputs * factors)[:, k]) for k in range(count)]
    found = []
    for source in sources:
        rows = []
        for part in parts:
            gradient = tape.gradient(part, source)
            size = tf.zeros(source.shape) if gradient is None else tf.abs(tf.convert_to_tensor(gradient))
            rows.append(np.array(size))
        largest = max(float(np.max(row)) for row in rows)
        found.append(np.stack([row > _SMALL * max(largest, _SMALL) for row in rows]))
    return found


def check_private_weights(layer: Any, inputs: Any, num_tasks: int, num_outputs: int | None = None) -> None:
    """`private_weights` are those of which no part is read by two tasks; an output behind the tasks' is for all."""
    weights = layer.trainable_weights
    declared = {id(weight) for weight in layer.private_weights}
    known = {id(weight) for weight in weights}
    demand(declared <= known, layer, "`private_weights` must be trainable weights of the layer itself.")
    found = reads(layer, inputs, [weight.value for weight in weights], num_outputs or num_tasks)
    for weight, read in zip(weights, found, strict=True):
        shared = bool(np.any(np.sum(read, axis=0) > 1) or np.any(read[num_tasks:]))
        if id(weight) in declared:
            text = f"`private_weights` names '{weight.path}', of which several tasks read one part: it leaks between "
            demand(not shared, layer, text + "tasks. Leave it out, or give every task a part of its own.")
        elif np.any(read):
            text = f"`private_weights` must name '{weight.path}': no part of it is read by two tasks."
            demand(shared or num_tasks == 1, layer, text)
