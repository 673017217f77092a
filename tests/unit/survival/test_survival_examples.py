"""The examples in the docstrings of the survival packages."""

import doctest
import importlib
import pkgutil

import pytest

import tfmtl.losses.survival
import tfmtl.metrics.survival
import tfmtl.survival

PACKAGES = (tfmtl.survival, tfmtl.metrics.survival, tfmtl.losses.survival)
MODULES = [info.name for package in PACKAGES for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
