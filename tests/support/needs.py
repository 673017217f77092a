"""Tests that need a package of an extra are skipped where it is not installed, with the reason."""

import importlib.util
from typing import Any

import pytest


def needs(name: str, extra: str = "track") -> Any:
    """The mark for a test that imports a package.

    Args:
        name: of the package.
        extra: what brings it. Defaults to `"track"`.
    """
    is_there = importlib.util.find_spec(name) is not None
    return pytest.mark.skipif(not is_there, reason=f"{name} is not installed (extra `{extra}`)")
