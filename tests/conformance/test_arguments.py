"""Every constructor argument of every public layer changes something, and siblings start different."""

import functools
import inspect
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.catalogue import ALTERNATIVES, RECIPES
from tests.support.layer_checks import LayerRecipe
from tfmtl.core.label_correlation import label_correlation, label_moments

CASES = [
    (layer_class, argument, value)
    for layer_class, alternatives in ALTERNATIVES.items()
    for argument, value in alternatives.items()
]


def recipe_of(layer_class: type) -> LayerRecipe:
    """The first recipe of a class."""
    return next(recipe for recipe in RECIPES if recipe.layer_class is layer_class)


def call_arguments(layer: keras.layers.Layer) -> dict[str, tf.Tensor]:
    """What a model gives a layer besides its inputs."""
    if not getattr(layer, "uses_label_correlation", False):
        return {}
    labels = np.random.default_rng(0).normal(1.0, size=(8, layer.num_tasks))
    return {"label_correlation": label_correlation(label_moments(labels), layer.correlation)}


def behavior(recipe: LayerRecipe, **arguments) -> list[np.ndarray]:
    """Weights, outputs in training, their gradients, losses the layer adds and a head's predictions, from one seed."""
    keras.utils.set_random_seed(0)
    layer = recipe.layer_class(**{**recipe.arguments, **arguments})
    layer.build(recipe.shapes())
    variables = [weight.value for weight in layer.trainable_weights]
    with tf.GradientTape() as tape:
        outputs = keras.tree.flatten(layer(recipe.tensors(), training=True, **call_arguments(layer)))
        learnt_from = [output for output in outputs if output.dtype.is_floating]
    gradients = tape.gradient(learnt_from, variables, unconnected_gradients="zero")
    if hasattr(layer, "predictions"):
        outputs.extend(keras.tree.flatten(layer.predictions(outputs[0])))
    values = (*layer.trainable_weights, *outputs, *gradients, *layer.losses)
    return [np.asarray(tf.convert_to_tensor(value)) for value in values]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@functools.cache
def plain_behavior(layer_class: type) -> list[np.ndarray]:
    """What every changed argument of a class is compared with."""
    plain = behavior(recipe_of(layer_class))
    assert same(plain, behavior(recipe_of(layer_class))), (
        "without a change nothing may differ, or no test shows anything"
    )
    return plain


@pytest.mark.parametrize(
    "layer_class", dict.fromkeys(recipe.layer_class for recipe in RECIPES), ids=lambda value: value.__name__
)
def test_every_argument_has_an_alternative(layer_class: type) -> None:
    parameters = inspect.signature(layer_class.__init__).parameters.values()
    arguments = {
        parameter.name
        for parameter in parameters
        if parameter.name != "self" and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    }
    assert set(ALTERNATIVES.get(layer_class, {})) == arguments, "complete ALTERNATIVES in tests/conformance/recipes/"


@pytest.mark.parametrize(
    ("layer_class", "argument", "value"), CASES, ids=[f"{case[0].__name__}-{case[1]}" for case in CASES]
)
def test_argument_changes_something(layer_class: type, argument: str, value: object) -> None:
    if isinstance(value, LayerRecipe):
        changed = behavior(value)
    else:
        changed = behavior(recipe_of(layer_class), **{argument: value})
    assert not same(plain_behavior(layer_class), changed)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.layer_class.__name__)
def test_no_two_kernels_of_a_layer_start_equal(recipe: LayerRecipe) -> None:
    layer = recipe.create()
    layer.build(recipe.shapes())
    matrices = []
    for weight in layer.trainable_weights:
        # Half of these start at zero; that no two pairs start equal is in tests/unit/layers/test_conditioning.py.
        if "kernel" in weight.name and "generated_factors" not in weight.path:
            value = weight.numpy()
            matrices.extend(value if value.ndim == 3 else [value])
    for one, other in itertools.combinations(matrices, 2):
        assert one.shape != other.shape or np.any(one != other)
