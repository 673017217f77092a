"""Every public optimizer has a recipe, restores itself and uses every argument."""

import functools
import importlib
import inspect
import pkgutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmtl.optimizers
from tests.conformance.recipes.optimizers import RECIPES, ROW_ALTERNATIVES, OptimizerRecipe
from tfmtl.optimizers import RowOptimizer

CASES = [(recipe, argument) for recipe in RECIPES for argument in recipe.alternatives]


def public_optimizers() -> set[type]:
    """The optimizer classes that the package's modules define, without the abstract base."""
    found = set()
    for module_info in pkgutil.iter_modules(tfmtl.optimizers.__path__, "tfmtl.optimizers."):
        module = importlib.import_module(module_info.name)
        found |= {
            value
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, keras.optimizers.Optimizer)
            and value.__module__ == module.__name__
            and not name.startswith("_")
        }
    return found - {RowOptimizer}


def small_model(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    """A table of eleven rows and a dense layer."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,), dtype="int32")
    hidden = keras.layers.Flatten()(keras.layers.Embedding(11, 4, name="items")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, name="dense")(hidden))
    model.compile(optimizer, "mse")
    return model


def batch(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 9, (6, 3)).astype("int32"), generator.normal(size=(6, 1)).astype("float32")


def step(model: keras.Model, seed: int = 0) -> None:
    """One eager step, which is quicker than tracing a function for a step or two."""
    ids, labels = batch(seed)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(ids) - labels))
    gradients = tape.gradient(loss, model.trainable_variables)
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))


def stepped(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    """Weights after two steps from the same start."""
    model = small_model(optimizer)
    step(model)
    step(model, seed=1)
    return model.get_weights()


@functools.cache
def unchanged(optimizer_class: type) -> list[np.ndarray]:
    """What the recipe's own arguments make."""
    return stepped(next(recipe for recipe in RECIPES if recipe.optimizer_class is optimizer_class).create())


def name(value: object) -> str:
    return value.optimizer_class.__name__ if isinstance(value, OptimizerRecipe) else str(value)


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_every_public_optimizer_has_a_recipe() -> None:
    found = public_optimizers()
    assert {optimizer.__name__ for optimizer in found} >= {"SGD", "Split"}, "the walk finds nothing"
    missing = found - {recipe.optimizer_class for recipe in RECIPES}
    assert not missing, f"add a recipe in tests/conformance/recipes/optimizers.py for {missing}"


@pytest.mark.parametrize("recipe", RECIPES, ids=name)
def test_every_argument_has_an_alternative(recipe: OptimizerRecipe) -> None:
    accepted = set(inspect.signature(recipe.optimizer_class.__init__).parameters) - {"self", "name", "kwargs"}
    if issubclass(recipe.optimizer_class, RowOptimizer):
        accepted |= set(ROW_ALTERNATIVES)
    assert set(recipe.alternatives) == accepted


@pytest.mark.parametrize(("recipe", "argument"), CASES, ids=name)
def test_argument_changes_the_steps(recipe: OptimizerRecipe, argument: str) -> None:
    changed = stepped(recipe.create(**{argument: recipe.alternatives[argument]()}))
    assert not same(unchanged(recipe.optimizer_class), changed)


@pytest.mark.parametrize("recipe", RECIPES, ids=name)
def test_without_a_change_nothing_differs(recipe: OptimizerRecipe) -> None:
    assert same(unchanged(recipe.optimizer_class), stepped(recipe.create())), "or the test above shows nothing"


@pytest.mark.parametrize(("recipe", "argument"), CASES, ids=name)
def test_config_holds_every_argument(recipe: OptimizerRecipe, argument: str) -> None:
    optimizer = recipe.create(**{argument: recipe.alternatives[argument]()})
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert again.get_config() != recipe.create(name=optimizer.name).get_config()


@pytest.mark.parametrize("recipe", RECIPES, ids=name)
def test_saved_and_loaded_it_goes_on_as_if_nothing_had_happened(recipe: OptimizerRecipe, tmp_path: Path) -> None:
    model = small_model(recipe.create())
    for seed in range(3):
        step(model, seed)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is recipe.optimizer_class
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    step(model, 3)
    step(loaded, 3)
    assert same(model.get_weights(), loaded.get_weights())


def test_every_optimizer_is_registered_under_the_package_name() -> None:
    for optimizer in public_optimizers():
        assert keras.saving.get_registered_name(optimizer) == f"tfmtl>{optimizer.__name__}"
