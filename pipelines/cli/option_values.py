"""Options given as text, `name=value`."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from tfmtl.schema import Problem


class PlainValues(yaml.SafeLoader):
    """YAML 1.2's plain values: `off` is a word and `1e-2` a number, which PyYAML's 1.1 takes the other way round."""


PlainValues.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool",)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
PlainValues.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.IGNORECASE), list("tTfF")
)
PlainValues.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def option_values(owner: str, settings: Sequence[str]) -> dict[str, Any]:
    """The options of `--set name=value`, given once or several times; a list becomes a tuple.

    Raises:
        ValueError: one has no `=`, its value is not YAML, or a name is given twice.
    """
    options: dict[str, Any] = {}
    for name, value in named_texts(owner, "--set", settings).items():
        try:
            parsed = yaml.load(value, Loader=PlainValues)  # a SafeLoader
        except yaml.YAMLError as error:
            raise ValueError(
                f"{owner}: the value of `--set` must be YAML, as in num_experts=8. Received: '{name}={value}'."
            ) from error
        options[name] = tuple(parsed) if isinstance(parsed, list) else parsed
    return options


def named_texts(owner: str, option: str, settings: Sequence[str]) -> dict[str, str]:
    """Name -> value, as text, of an option `name=value` that is given once or several times.

    Raises:
        ValueError: one has no `=`, or a name is given twice.
    """
    texts: dict[str, str] = {}
    for setting in settings:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if not equals:
            raise ValueError(f"{owner}: `{option}` must be name=value. Received: {option} {setting!r}.")
        if name in texts:
            raise ValueError(f"{owner}: `{option}` must give '{name}' once. Received: {option} {setting!r} as well.")
        texts[name] = value
    return texts


def task_methods(owner: str, problem: Problem, settings: Sequence[str]) -> dict[str, str]:
    """Task -> method of `--calibrate`: `task=method`, or a method alone for all other tasks that can have it.

    Raises:
        ValueError: a task, or what is for all of a kind, is given twice, or a method alone is for no task.
    """
    own = named_texts(owner, "--calibrate", [setting for setting in settings if "=" in setting])
    common = [setting.strip() for setting in settings if "=" not in setting]
    found: dict[str, str] = {}
    for method in common:
        tasks = [task.name for task in problem.tasks if method.partition(":")[0] in task.calibrators]
        if not tasks:
            able = {task.name: list(task.calibrators) for task in problem.tasks if task.calibrators}
            raise ValueError(
                f"{owner}: `--calibrate` must name a method of some task. Received: {method!r}. Tasks and their "
                f"methods: {able}."
            )
        if found.keys() & set(tasks):
            raise ValueError(f"{owner}: `--calibrate` must name one method for all tasks. Received: {common}.")
        found |= dict.fromkeys(tasks, method)
    return found | own


def names(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
