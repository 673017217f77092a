"""Every public layer has a recipe, and every recipe passes `check_layer`."""

import importlib
import pkgutil

import keras
import pytest

import tfmtl.layers
from tests.conformance.catalogue import RECIPES
from tests.support.layer_checks import CHECKS, LayerRecipe
from tfmtl.layers import BottomLayer, SharingLayer


def public_layers(package) -> set[type]:
    """The layer classes without a leading underscore that a package's modules define."""
    found = set()
    for module_info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        module = importlib.import_module(module_info.name)
        found |= {
            value
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, keras.layers.Layer)
            and value.__module__ == module.__name__
            and not name.startswith("_")
            and value not in (BottomLayer, SharingLayer)  # the bases, which do nothing by themselves
        }
    return found


def name(recipe: LayerRecipe) -> str:
    return recipe.layer_class.__name__


def test_walk_finds_layers_in_every_folder() -> None:
    folders = {layer.__module__.split(".")[2] for layer in public_layers(tfmtl.layers)}
    assert folders == {
        "bottom",
        "dense",
        "embedding",
        "experts",
        "fields",
        "gates",
        "heads",
        "sequence",
        "sharing",
    }


def test_every_public_layer_has_a_recipe() -> None:
    missing = public_layers(tfmtl.layers) - {recipe.layer_class for recipe in RECIPES}
    assert not missing, f"add a recipe in tests/conformance/recipes/ for {sorted(map(repr, missing))}"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "recipe", [pytest.param(r, marks=[pytest.mark.long] * r.lowered_only, id=name(r)) for r in RECIPES]
)
def test_layer(recipe: LayerRecipe, check) -> None:
    check(recipe)


def test_every_layer_is_registered_under_the_package_name() -> None:
    for layer in public_layers(tfmtl.layers):
        assert keras.saving.get_registered_name(layer) == f"tfmtl>{layer.__name__}"
