"""Options given as text, `name=value`."""

import re
from collections.abc import Sequence
from typing import Any

import yaml


class _Values(yaml.SafeLoader):
    """YAML 1.2's plain values: `off` is a word and `1e-2` a number, which PyYAML's 1.1 takes the other way round."""


_Values.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool",)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Values.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.IGNORECASE), list("tTfF"))
_Values.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def option_values(owner: str, settings: Sequence[str]) -> dict[str, Any]:
    """The options of `--set name=value`, given once or several times; a list becomes a tuple.

    Raises:
        ValueError: one has no `=`, its value is not YAML, or a name is given twice.
    """
    options: dict[str, Any] = {}
    for name, value in option_texts(owner, "--set", settings).items():
        try:
            parsed = yaml.load(value, Loader=_Values)  # a SafeLoader
        except yaml.YAMLError as error:
            raise ValueError(
                f"{owner}: the value of `--set` must be YAML, as in num_experts=8. Received: {f'{name}={value}'!r}."
            ) from error
        options[name] = tuple(parsed) if isinstance(parsed, list) else parsed
    return options


def option_texts(owner: str, option: str, settings: Sequence[str]) -> dict[str, str]:
    """Name -> value of an option `name=value`, given once or several times.

    Raises:
        ValueError: one has no `=`, or a name is given twice.
    """
    texts: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"{owner}: `{option}` must be name=value. Received: {option} {setting!r}.")
        if name in texts:
            raise ValueError(f"{owner}: `{option}` must give '{name}' once. Received: {option} {setting!r} as well.")
        texts[name] = value
    return texts
