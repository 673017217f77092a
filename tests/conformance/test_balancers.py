"""Every public balancer has a recipe and a name, and does what all of them must."""

import importlib
import inspect
import json
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmtl.balancing
from tests.conformance.recipes.balancing import ALTERNATIVES, RECIPES
from tests.support.docstring_checks import check_arguments
from tfmtl.balancing import BALANCERS, Balancer, GradientAggregator

CASES = [(method, argument) for method, alternatives in ALTERNATIVES.items() for argument in alternatives]


def public_balancers() -> set[type[Balancer]]:
    """The methods that the package's modules define; not the two bases, which implement none."""
    found = set()
    for module_info in pkgutil.walk_packages(tfmtl.balancing.__path__, "tfmtl.balancing."):
        module = importlib.import_module(module_info.name)
        found |= {
            value
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, Balancer)
            and value.__module__ == module.__name__
            and value not in (Balancer, GradientAggregator)
            and not name.startswith("_")
        }
    return found


def behavior(balancer: Balancer, compiled: bool = False) -> np.ndarray:
    """Weights of a few steps with conflict, the tasks' losses falling unequally."""
    balancer.build(3)
    random = np.random.default_rng(1)
    weigh = tf.function(balancer.weights, autograph=False) if compiled else balancer.weights
    update = tf.function(balancer.update, autograph=False) if compiled else balancer.update
    found = []
    for step in range(5):
        losses = tf.constant([1.0, 0.9**step, 0.5**step], tf.float32)
        rows = random.normal(size=(3, 4)) * np.array([[1.0], [3.0], [0.3]])
        rows -= 0.9 * rows.mean(axis=0)
        found.append(weigh(losses, tf.constant(rows @ rows.T)).numpy())
        update(losses, losses * [0.9, 0.8, 0.5])
    return np.array(found)


def test_every_public_balancer_has_a_recipe_and_a_name() -> None:
    assert len(public_balancers()) == len(BALANCERS)
    missing = public_balancers() - set(RECIPES)
    assert not missing, f"add a recipe in tests/conformance/recipes/balancing.py for {sorted(map(repr, missing))}"
    assert public_balancers() == set(BALANCERS.values())


@pytest.mark.parametrize("method", RECIPES, ids=lambda method: method.__name__)
def test_balancer(method: type[Balancer]) -> None:
    assert keras.saving.get_registered_name(method) == f"tfmtl>{method.__name__}"
    balancer = method(**RECIPES[method])
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(balancer)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == balancer.get_config()
    arguments = set(inspect.signature(method).parameters) - {"kwargs"}
    assert set(balancer.get_config()) == arguments | {"name"}
    plain = behavior(balancer)
    assert plain.dtype == np.float32
    np.testing.assert_array_equal(behavior(again), plain)
    np.testing.assert_allclose(behavior(method(**RECIPES[method]), compiled=True), plain, rtol=1e-5, atol=1e-6)
    names = [variable.name for variable in balancer.variables]
    assert len(set(names)) == len(names), "state is saved by name"
    assert not any(variable.trainable for variable in balancer.variables)


@pytest.mark.parametrize("method", RECIPES, ids=lambda method: method.__name__)
def test_documentation(method: type[Balancer]) -> None:
    check_arguments(method)
    text = inspect.cleandoc(method.__doc__)
    for section in ("Scale: ", "Args:"):
        assert any(line.startswith(section) for line in text.splitlines()), f"{method.__name__} has no {section!r}"
    assert "plain sum" in text, f"{method.__name__} does not say what the plain sum of the losses corresponds to"


@pytest.mark.parametrize("method", RECIPES, ids=lambda method: method.__name__)
def test_every_argument_has_an_alternative(method: type[Balancer]) -> None:
    assert set(ALTERNATIVES.get(method, {})) == set(inspect.signature(method).parameters) - {"kwargs"}


@pytest.mark.parametrize(("method", "argument"), CASES, ids=[f"{case[0].__name__}-{case[1]}" for case in CASES])
def test_argument_changes_something(method: type[Balancer], argument: str) -> None:
    changed = {**RECIPES[method], argument: ALTERNATIVES[method][argument]}
    assert np.any(behavior(method(**changed)) != behavior(method(**RECIPES[method])))


@pytest.mark.parametrize("name", ["famo", "gradnorm", "pcgrad", "nash_mtl"])
def test_xla_compiles_it(name: str) -> None:
    """One of each kind of mathematics; the interior-point method is everywhere the same."""
    balancer, compiled = BALANCERS[name](), BALANCERS[name]()
    balancer.build(2)
    compiled.build(2)
    gramian, losses = tf.constant([[1.0, -0.5], [-0.5, 2.0]]), tf.constant([1.0, 2.0])
    found = tf.function(compiled.weights, autograph=False, jit_compile=True)(losses, gramian)
    np.testing.assert_allclose(found, balancer.weights(losses, gramian), rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("method", RECIPES, ids=lambda method: method.__name__)
def test_what_is_not_finite_leaves_the_state(method: type[Balancer], bad: float) -> None:
    """An optimizer that scales the loss skips such a step, often the first of all."""
    balancer = method(**RECIPES[method])
    behavior(balancer)
    before = [variable.numpy().copy() for variable in balancer.variables]
    gramian, losses = np.eye(3), np.ones(3, np.float32)
    if method.uses_gramian:
        gramian[1] = gramian[:, 1] = bad
    else:
        losses[1] = bad
    balancer.weights(tf.constant(losses), tf.constant(gramian))
    for variable, old in zip(balancer.variables, before, strict=True):
        if variable.name != "present":  # of this batch alone
            np.testing.assert_array_equal(variable.numpy(), old, err_msg=variable.name)
    assert np.all(np.isfinite(behavior(balancer)))
