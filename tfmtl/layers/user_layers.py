"""Bottoms and sharing layers of users: by a registered name, or by module and class."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.sharing.sharing_layer import SharingLayer
from tfmtl.schema.checks import did_you_mean, error_text

SHARINGS = ("single_task", "shared_network", "mmoe", "ple")
"""Names of the package's own sharing layers, as the presets' `sharing=` takes them."""

BOTTOMS = ("concatenation",)
"""Names of the package's own bottoms, as the presets' `bottom=` takes them."""

Layer = TypeVar("Layer", bound=type)
_KINDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "sharing": (SharingLayer, SHARINGS),
    "bottom": (BottomLayer, BOTTOMS),
}
_registered: dict[str, dict[str, type]] = {argument: {} for argument in _KINDS}


def register_sharing(name: str) -> Callable[[Layer], Layer]:
    """A decorator that makes a `SharingLayer` known to presets by a name, as in `dtrn(inputs, sharing=name)`.

    Args:
        name: str, without a colon. Another class of the same module and name may take it again.

    Raises:
        TypeError: the class is no `SharingLayer`.
        ValueError: the name is taken or has a colon.

    Example:

    >>> import tfmtl
    >>> @tfmtl.register_sharing("copies")
    ... class Copies(tfmtl.layers.SharedNetwork):
    ...     pass
    """
    return lambda cls: _register("sharing", name, cls)


def register_bottom(name: str) -> Callable[[Layer], Layer]:
    """A decorator that makes a `BottomLayer` known to presets by a name, as in `mmoe(inputs, bottom=name)`.

    Args:
        name: str, without a colon. Another class of the same module and name may take it again.

    Raises:
        TypeError: the class is no `BottomLayer`.
        ValueError: the name is taken or has a colon.
    """
    return lambda cls: _register("bottom", name, cls)


def make_user_layer(owner: str, argument: str, name: str, **offered: Any) -> Any:
    """A layer of a registered name, or of `module:Class`.

    It is made with those of the offered arguments that its constructor names.

    Args:
        owner: who asks, for errors.
        argument: str. `"sharing"` or `"bottom"`.
        name: str.
        **offered: what a preset knows, such as `num_tasks`.

    Raises:
        TypeError: the class is of another kind, or its constructor needs something else.
        ValueError: there is no such name, module or class.
    """
    cls = _imported(owner, argument, name) if ":" in name else _named(owner, argument, name)
    _check_kind(owner, argument, cls)
    parameters = inspect.signature(cls).parameters
    try:
        return cls(**{key: value for key, value in offered.items() if key in parameters})
    except TypeError as error:
        rule = f"be made with some of {sorted(offered)}"
        advice = f"Give its other arguments defaults: {error}"
        raise TypeError(error_text(owner, argument, rule, name, advice)) from error


def _named(owner: str, argument: str, name: str) -> type:
    found = _registered[argument].get(name)
    if found is None:
        known: Sequence[str] = (*_KINDS[argument][1], *_registered[argument])
        advice = f"Use one of these, or 'module:Class' for your own.{did_you_mean(name, known)}"
        raise ValueError(error_text(owner, argument, f"be one of {list(known)}", name, advice))
    return found


def _imported(owner: str, argument: str, name: str) -> type:
    module_name, _, class_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        rule, advice = "name a module that can be imported", f"Install it, or set PYTHONPATH: {error}."
        raise ValueError(error_text(owner, argument, rule, name, advice)) from error
    if not isinstance(vars(module).get(class_name), type):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        rule, advice = f"name a class of '{module_name}'", f"It has {classes}.{did_you_mean(class_name, classes)}"
        raise ValueError(error_text(owner, argument, rule, name, advice))
    found: type = vars(module)[class_name]
    return found


def _check_kind(owner: str, argument: str, cls: type) -> None:
    base = _KINDS[argument][0]
    if not (isinstance(cls, type) and issubclass(cls, base)):
        rule, advice = f"be a {base.__name__}", f"Derive it from tfmtl.layers.{base.__name__}."
        raise TypeError(error_text(owner, argument, rule, cls, advice))


def _register(argument: str, name: str, cls: Layer) -> Layer:
    owner = f"register_{argument}"
    _check_kind(owner, argument, cls)
    taken = _registered[argument].get(name)
    same = taken is not None and (taken.__module__, taken.__qualname__) == (cls.__module__, cls.__qualname__)
    if name in _KINDS[argument][1] or (taken is not None and not same):
        raise ValueError(error_text(owner, "name", "be a new one", name, "Choose another."))
    if ":" in name:
        raise ValueError(error_text(owner, "name", "have no colon", name, "A colon stands between module and class."))
    _registered[argument][name] = cls
    return cls
