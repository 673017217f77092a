"""YAML without its silent trap."""

from typing import Any

import yaml

from tfmtl.schema.problem_error import ProblemError


def read_yaml(text: str) -> Any:
    """Reads plain values; refuses a key that a mapping has twice, of which YAML would keep the last.

    Raises:
        ProblemError: a key stands twice.
        yaml.YAMLError: the text is not YAML.
    """
    waiting = [yaml.compose(text, Loader=yaml.SafeLoader)]
    done = set()  # an alias may lead back to a node
    while waiting:
        node = waiting.pop()
        if id(node) in done:
            continue
        done.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _check_unique([key for key, _ in node.value])
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return yaml.safe_load(text)


def _check_unique(keys: list[Any]) -> None:
    lines: dict[str, int] = {}
    for key in keys:
        if isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            if key.value in lines:
                raise ProblemError(
                    f"key '{key.value}' stands twice, in lines {lines[key.value]} and {line}. Remove one of them."
                )
            lines[key.value] = line
