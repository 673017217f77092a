"""The examples in docstrings run and give what they show, and every public layer has one."""

import doctest
import importlib
import types
from pathlib import Path

import keras
import pytest

import tfmtl.layers
import tfmtl.operators
from tfmtl.schema.registry import FEATURES, TASKS

ROOT = Path(tfmtl.__file__).parent
FILES = [path for path in sorted(ROOT.rglob("*.py")) if ">>>" in path.read_text(encoding="utf-8")]
MODULES = [".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in FILES]
LAYERS = [
    value
    for package in (tfmtl.layers, tfmtl.operators)
    for value in (getattr(package, name) for name in package.__all__)
    if isinstance(value, type) and issubclass(value, keras.layers.Layer)
]


def has_example(owner: type) -> bool:
    """Whether the docstring has an `Example:` section with code."""
    _, mark, example = (owner.__doc__ or "").partition("Example:\n")
    return bool(mark) and ">>> " in example


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A kind that an example registers is there for the example alone.
    for registry in (FEATURES, TASKS):
        monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_every_public_layer_has_an_example(layer: type) -> None:
    assert has_example(layer), f"{layer.__name__}: add an `Example:` section of about three lines to its docstring"


def test_a_layer_without_an_example_is_found() -> None:
    class Bare(keras.layers.Layer):
        """Does something.

        Args:
            **kwargs: Passed on.
        """

    assert not has_example(Bare)


def test_an_example_that_shows_something_else_is_found() -> None:
    module = types.ModuleType("wrong", "Adds.\n\n>>> 1 + 1\n3\n")
    assert doctest.testmod(module, report=False, verbose=False).failed == 1
