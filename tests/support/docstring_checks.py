"""Whether a docstring's `Args:` section says what the signature says."""

import ast
import inspect
import re
from typing import Any

_ENTRY = re.compile(r"^(\*{0,2}\w+):")
_DEFAULT = re.compile(r"Defaults to\s+`([^`]*)`")


def documented_arguments(docstring: str) -> dict[str, str]:
    """The entries of the `Args:` section, name to text; empty if there is no such section."""
    lines = inspect.cleandoc(docstring).splitlines()
    if "Args:" not in lines:
        return {}
    entries: dict[str, list[str]] = {}
    for line in lines[lines.index("Args:") + 1 :]:
        if line and not line.startswith(" "):
            break
        match = _ENTRY.match(line[4:])
        if match:
            entries[match[1]] = [line[4 + match.end() :]]
        elif entries and line.strip():
            entries[next(reversed(entries))].append(line)
    return {name: " ".join(part.strip() for part in text) for name, text in entries.items()}


def check_arguments(owner: Any) -> None:
    """Raises AssertionError unless documented names, their order and defaults are those of the signature.

    Args:
        owner: A function, or a class with its arguments documented in the class docstring.
    """
    name = owner.__name__
    documented = documented_arguments(owner.__doc__ or "")
    parameters = _parameters(owner)
    assert list(documented) == list(parameters), f"{name}: documented {list(documented)}, accepted {list(parameters)}"
    for key, parameter in parameters.items():
        defaults = _DEFAULT.findall(documented[key])
        if parameter.default is inspect.Parameter.empty:
            assert not defaults, f"{name}: `{key}` has no default but documents {defaults}"
        else:
            assert len(defaults) == 1, f"{name}: `{key}` needs one 'Defaults to `{parameter.default!r}`'"
            stated = ast.literal_eval(defaults[0])
            same = type(stated) is type(parameter.default) and stated == parameter.default
            assert same, f"{name}: `{key}` defaults to {parameter.default!r}, not {stated!r}"


def _parameters(owner: Any) -> dict[str, inspect.Parameter]:
    """The accepted arguments, with the stars a docstring writes."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    # A layer without arguments of its own inherits a constructor that Keras has wrapped in (*args, **kwargs).
    inherited = isinstance(owner, type) and "__init__" not in vars(owner)
    return {
        stars.get(parameter.kind, "") + name: parameter
        for name, parameter in inspect.signature(owner).parameters.items()
        if not (inherited and parameter.kind is inspect.Parameter.VAR_POSITIONAL)
    }
