"""Branches and trunks do all that a Keras layer has to do."""

import importlib
import pkgutil

import keras
import pytest

import tfmtl.operators
from tests.support.docstring_checks import check_arguments
from tests.support.layer_checks import CHECKS, LayerRecipe, check_mixed_precision
from tests.unit.operators.recipes import RECIPES
from tfmtl.operators import OperatorNetwork, PODTrunk


def layers() -> set[type]:
    """All public layer classes of the package, the model and its base aside."""
    found = set()
    for module_info in pkgutil.walk_packages(tfmtl.operators.__path__, "tfmtl.operators."):
        module = importlib.import_module(module_info.name)
        found |= {
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, keras.layers.Layer) and value.__module__ == module.__name__
        }
    return found - set(OperatorNetwork.__mro__)


def test_every_layer_has_a_recipe() -> None:
    assert layers() == {recipe.layer_class for recipe in RECIPES}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.layer_class.__name__)
def test_layer(recipe: LayerRecipe, check) -> None:
    if recipe.layer_class is PODTrunk and check is check_mixed_precision:
        return  # its modes are 0 before `adapt`, and there is nothing to compare
    check(recipe)


def public() -> list:
    """All public objects that document arguments."""
    values = [getattr(tfmtl.operators, name) for name in tfmtl.operators.__all__]
    return [value for value in values if "Args:" in (value.__doc__ or "")]


@pytest.mark.parametrize("owner", public(), ids=lambda owner: owner.__name__)
def test_arguments_are_documented(owner) -> None:
    check_arguments(owner)
