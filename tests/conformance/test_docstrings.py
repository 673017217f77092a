"""Documented arguments and defaults are those of the signatures."""

import importlib
import inspect
import pkgutil

import keras
import pytest

import tfmtl.balancing
import tfmtl.core
import tfmtl.layers
import tfmtl.optimizers
import tfmtl.sharpness
from tests.support.docstring_checks import check_arguments, documented_arguments

PACKAGES = (tfmtl.balancing, tfmtl.core, tfmtl.layers, tfmtl.optimizers, tfmtl.sharpness)
PARTS = (keras.layers.Layer, keras.optimizers.Optimizer, tfmtl.sharpness.Sharpness)


def public_objects() -> list:
    """Public layers and optimizers, and public functions that document arguments, of several packages."""
    found = []
    for package in PACKAGES:
        for module_info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            module = importlib.import_module(module_info.name)
            for name, value in vars(module).items():
                if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                    continue
                is_part = isinstance(value, type) and issubclass(value, PARTS)
                if is_part or (inspect.isfunction(value) and documented_arguments(value.__doc__ or "")):
                    found.append(value)
    return found


def public_layers() -> list[type]:
    return [owner for owner in public_objects() if isinstance(owner, type) and issubclass(owner, PARTS[0])]


@pytest.mark.parametrize("owner", public_objects(), ids=lambda owner: owner.__name__)
def test_arguments(owner) -> None:
    check_arguments(owner)


@pytest.mark.parametrize("layer", public_layers(), ids=lambda layer: layer.__name__)
def test_layer_documents_shapes_inputs_and_outputs(layer: type) -> None:
    lines = inspect.cleandoc(layer.__doc__).splitlines()
    for section in ("Args:", "Call arguments:", "Returns:"):
        assert section in lines, f"{layer.__name__} has no section {section!r}"
    assert any(line.startswith("Shapes: ") for line in lines), f"{layer.__name__} explains no shape letters"


def test_every_public_module_class_and_function_has_a_docstring() -> None:
    for package in PACKAGES:
        for module_info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            module = importlib.import_module(module_info.name)
            if not module_info.ispkg:
                assert module.__doc__, module.__name__
            for name, value in vars(module).items():
                if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__:
                    assert value.__doc__, f"{module.__name__}.{name}"


def good(units: int, rate: float = 0.5, name: str | None = None, **kwargs) -> None:
    """Good.

    Args:
        units: int. So many.
        rate: float. A share, explained over
            two lines. Defaults to `0.5`.
        name: str or None. Defaults to `None`.
        **kwargs: Passed on.

    Returns:
        None: not an argument.
    """


def undocumented(units: int, rate: float = 0.5) -> None:
    """Bad.

    Args:
        units: int. So many.
    """


def invented(units: int) -> None:
    """Bad.

    Args:
        units: int. So many.
        rate: float. Not there.
    """


def wrong_default(rate: float = 0.5) -> None:
    """Bad.

    Args:
        rate: float. A share. Defaults to `0.1`.
    """


def no_default(rate: float = 0.5) -> None:
    """Bad.

    Args:
        rate: float. A share.
    """


def default_of_none(rate: float) -> None:
    """Bad.

    Args:
        rate: float. A share. Defaults to `0.1`.
    """


def test_check_passes_a_docstring_without_fault() -> None:
    check_arguments(good)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (undocumented, r"documented \['units'\], accepted \['units', 'rate'\]"),
        (invented, r"documented \['units', 'rate'\], accepted \['units'\]"),
        (wrong_default, "`rate` defaults to 0.5, not 0.1"),
        (no_default, "`rate` needs one 'Defaults to `0.5`'"),
        (default_of_none, r"`rate` has no default but documents \['0.1'\]"),
    ],
)
def test_check_fails_on_a_known_fault(function, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_arguments(function)
