"""One call that checks all a Keras layer has to do to be saved, compiled and trained."""

import inspect
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmtl.testing._layer import Holder, randomize_weights


@dataclass(frozen=True)
class LayerRecipe:
    """How to make and call one public layer.

    Attributes:
        layer_class: The class.
        arguments: Constructor arguments; small sizes, and more than one of everything.
        inputs: The call's argument as NumPy arrays: an array or a dict of arrays, batch first.
        output_dtype: Type of the outputs under mixed precision; None for the compute type.
        unbatched: Whether outputs do not depend on the inputs and have no batch axis.
        unbatched_inputs: Keys of dict inputs that have no batch axis.
        lowered_only: Whether XLA translates the layer and makes no machine code of it: for a further recipe of a class.
    """

    layer_class: type[keras.layers.Layer]
    inputs: Any
    arguments: Mapping[str, Any] = field(default_factory=dict)
    output_dtype: str | None = None
    unbatched: bool = False
    unbatched_inputs: tuple[str, ...] = ()
    lowered_only: bool = False

    def create(self, **kwargs: Any) -> keras.layers.Layer:
        """Makes a fresh layer."""
        return self.layer_class(**self.arguments, **kwargs)

    def shapes(self) -> Any:
        """The inputs' shapes with an unknown batch, as `build` gets them."""
        if isinstance(self.inputs, Mapping):
            return {
                key: value.shape if key in self.unbatched_inputs else (None, *value.shape[1:])
                for key, value in self.inputs.items()
            }
        return (None, *self.inputs.shape[1:])

    def tensors(self) -> Any:
        """The inputs as tensors."""
        return tf.nest.map_structure(tf.convert_to_tensor, self.inputs)

    def first(self, count: int) -> Any:
        """The inputs of the first examples alone."""
        if isinstance(self.inputs, Mapping):
            return {
                key: tf.convert_to_tensor(value if key in self.unbatched_inputs else value[:count])
                for key, value in self.inputs.items()
            }
        return tf.convert_to_tensor(self.inputs[:count])


def check_layer(recipe: LayerRecipe) -> None:
    """Raises AssertionError unless the layer passes every check below."""
    for check in CHECKS:
        check(recipe)


def check_config(recipe: LayerRecipe) -> None:
    """The config holds every constructor argument, survives JSON, and makes an equal layer."""
    layer = recipe.create()
    config = layer.get_config()
    for name, parameter in inspect.signature(recipe.layer_class.__init__).parameters.items():
        if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            assert name in config, f"get_config of {recipe.layer_class.__name__} lacks {name!r}"
            assert hasattr(layer, name), f"{recipe.layer_class.__name__} has no attribute {name!r}"
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    restored = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(restored) is recipe.layer_class
    assert json.loads(json.dumps(restored.get_config())) == json.loads(json.dumps(config))


def check_build(recipe: LayerRecipe) -> None:
    """`build` alone makes every weight, in every sublayer."""
    layer = recipe.create()
    layer.build(recipe.shapes())
    built = _signature(layer)
    unbuilt = [inner.name for inner in layer._flatten_layers() if not inner.built]
    assert not unbuilt, f"after build of {recipe.layer_class.__name__} these are not built: {unbuilt}"
    layer(recipe.tensors())
    assert _signature(layer) == built, "the call made weights that build had not"
    called = recipe.create()
    called(recipe.tensors())
    assert _signature(called) == built


def check_shape(recipe: LayerRecipe) -> None:
    """`compute_output_shape` tells the shape of the outputs, with a known and an unknown batch."""
    layer = _randomized(recipe)
    outputs = tf.nest.flatten(layer(recipe.tensors()))
    known = tf.nest.map_structure(lambda value: tuple(value.shape), recipe.tensors())
    for computed, output in zip(_flat_shapes(layer.compute_output_shape(known)), outputs, strict=True):
        actual = tuple(output.shape)
        # To call the batch unknown is imprecise, not wrong.
        assert computed in (actual, (None, *actual[1:]))
    unknown = _flat_shapes(layer.compute_output_shape(recipe.shapes()))
    if not recipe.unbatched:
        assert all(shape[0] is None for shape in unknown)
    symbolic = layer(_map_inputs(recipe, lambda value, shape: keras.KerasTensor(shape, dtype=value.dtype.name)))
    assert _flat_shapes(tf.nest.map_structure(lambda tensor: tuple(tensor.shape), symbolic)) == unknown


def check_graph(recipe: LayerRecipe) -> None:
    """A graph with an unknown batch computes what eager execution does, also for one example."""
    layer = _randomized(recipe)
    graph = tf.function(layer, input_signature=[_specs(recipe)])
    for inputs in (recipe.tensors(), recipe.first(1)):
        _assert_close(graph(inputs), layer(inputs))
    if not recipe.unbatched:
        alone = tf.nest.flatten(layer(recipe.first(1)))
        together = [output[:1] for output in tf.nest.flatten(layer(recipe.tensors()))]
        _assert_close(alone, together)


def check_xla(recipe: LayerRecipe) -> None:
    """XLA computes what eager execution does; of a recipe that is not its class's first, XLA takes every operation."""
    layer = _randomized(recipe)
    compiled = tf.function(layer, jit_compile=True)
    if recipe.lowered_only:
        assert compiled.experimental_get_compiler_ir(recipe.tensors())(stage="hlo")
        return
    _assert_close(compiled(recipe.tensors()), layer(recipe.tensors()))


def check_saving(recipe: LayerRecipe) -> None:
    """Saved and loaded inside a subclassed model, the layer answers bit for bit the same."""
    model = Holder(recipe.create())
    before_training = model(recipe.tensors())
    randomize_weights(model)
    expected = model(recipe.tensors())
    if model.trainable_weights:
        changed = zip(tf.nest.flatten(before_training), tf.nest.flatten(expected), strict=True)
        assert any(np.any(old != new) for old, new in changed), "other weights, same outputs: nothing would be tested"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    for old, new in zip(tf.nest.flatten(expected), tf.nest.flatten(loaded(recipe.tensors())), strict=True):
        np.testing.assert_array_equal(new, old)


def check_gradients(recipe: LayerRecipe) -> None:
    """Every trainable weight gets a finite gradient that is not zero throughout."""
    layer = _randomized(recipe)
    for weight, gradient in _gradients(layer, recipe):
        assert gradient is not None, f"{weight.path} is not connected to the outputs"
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.all(np.isfinite(gradient)), f"{weight.path} has a gradient that is not finite"
        assert np.any(gradient != 0.0), f"{weight.path} has a zero gradient"


def check_mixed_precision(recipe: LayerRecipe) -> None:
    """Under mixed_bfloat16 variables stay float32, outputs are bfloat16 and near the float32 ones."""
    layer, exact = _randomized(recipe, dtype="mixed_bfloat16"), _randomized(recipe)
    assert {weight.dtype for weight in layer.trainable_weights} <= {"float32"}
    outputs = tf.nest.flatten(layer(recipe.tensors()))
    expected = tf.nest.flatten(exact(recipe.tensors()))
    for output, reference in zip(outputs, expected, strict=True):
        if reference.dtype == tf.float32:
            assert output.dtype == (recipe.output_dtype or "bfloat16")
            # bfloat16 has 8 bits of mantissa; a few roundings in a row, relative to the largest output, stay below 5 %.
            scale = float(np.max(np.abs(reference)))
            assert scale > 0.0
            assert float(np.max(np.abs(tf.cast(output, "float32") - reference))) <= 0.05 * scale
    for _, gradient in _gradients(layer, recipe):
        assert np.all(np.isfinite(tf.cast(tf.convert_to_tensor(gradient), "float32")))


CHECKS: tuple[Callable[[LayerRecipe], None], ...] = (
    check_config,
    check_build,
    check_shape,
    check_graph,
    check_xla,
    check_saving,
    check_gradients,
    check_mixed_precision,
)


def _randomized(recipe: LayerRecipe, **kwargs: Any) -> keras.layers.Layer:
    layer = recipe.create(**kwargs)
    layer.build(recipe.shapes())
    randomize_weights(layer)
    return layer


def _gradients(layer: keras.layers.Layer, recipe: LayerRecipe) -> Iterator[tuple[Any, Any]]:
    generator = np.random.default_rng(2)
    with tf.GradientTape() as tape:
        loss = 0.0
        for output in tf.nest.flatten(layer(recipe.tensors())):
            if output.dtype.is_floating:
                output = tf.cast(output, "float32")
                # Not a plain sum: that of a softmax or of a normalized vector is constant.
                loss += tf.reduce_sum(output * generator.normal(size=output.shape).astype("float32"))
    variables = layer.trainable_weights
    gradients = tape.gradient(loss, [variable.value for variable in variables]) if variables else []
    return zip(variables, gradients, strict=True)


def _signature(layer: keras.layers.Layer) -> list[tuple[str, tuple[int, ...]]]:
    return [(weight.name, tuple(weight.shape)) for weight in layer.weights]


def _flat_shapes(shapes: Any) -> list[tuple[int | None, ...]]:
    """Flattens a structure of shapes; a shape is a tuple or list of ints and Nones."""
    if isinstance(shapes, Mapping):
        return [shape for key in sorted(shapes) for shape in _flat_shapes(shapes[key])]
    if all(size is None or isinstance(size, int) for size in shapes):
        return [tuple(shapes)]
    return [shape for part in shapes for shape in _flat_shapes(part)]


def _map_inputs(recipe: LayerRecipe, function: Callable[[Any, Any], Any]) -> Any:
    shapes = recipe.shapes()
    if isinstance(shapes, Mapping):
        return {key: function(recipe.tensors()[key], shape) for key, shape in shapes.items()}
    return function(recipe.tensors(), shapes)


def _specs(recipe: LayerRecipe) -> Any:
    return _map_inputs(recipe, lambda value, shape: tf.TensorSpec(shape, value.dtype))


def _assert_close(actual: Any, expected: Any) -> None:
    for one, other in zip(tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True):
        # Sums in another order: a few units in the last place of the largest term.
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * max(1.0, float(np.max(np.abs(other)))))
