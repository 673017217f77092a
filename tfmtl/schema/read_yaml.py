"""YAML without its silent trap."""

from typing import Any

import yaml

from tfmtl.schema.problem_error import ProblemError


def read_yaml(text: str) -> Any:
    """Reads plain values; refuses a key that a mapping has twice, of which YAML would keep the last.

    Raises:
        ProblemError: the text is not YAML, or a key stands twice; names the line.
    """
    try:
        _check_keys(yaml.compose(text, Loader=yaml.SafeLoader))
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ProblemError(f"not readable as YAML: {_one_line(error)}") from error


def _one_line(error: yaml.YAMLError) -> str:
    """What YAML says over several lines, with the place in front."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark, begin = error.problem_mark, error.context_mark
        context = f" {error.context}" if error.context else ""
        context += f" from line {begin.line + 1}" if begin and begin.line != mark.line else ""
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}{context}."
    return " ".join(str(error).split())


def _check_keys(root: Any) -> None:
    waiting = [root]
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
