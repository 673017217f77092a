"""Read YAML safely: no duplicate keys, and limits on aliases and nesting."""

from typing import Any

import yaml

from tfmtl.schema.problem_error import ProblemError

_MOST_VALUES = 100_000  # written out, without aliases
_MOST_DEPTH = 50


def read_yaml(text: str) -> Any:
    """Reads plain values; refuses a key that a mapping has twice, of which YAML would keep the last.

    An alias stands for what it names: with aliases of aliases a few lines can stand for more than a computer holds. A
    text of more than 100,000 values, written out, is refused before they are made, and so is one that holds itself or
    is nested more than 50 times.

    Raises:
        ProblemError: the text is not YAML, a key occurs twice, or it is too large; names the line where there is one.
    """
    try:
        _check_depth(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return None
        _check_keys(root)
        _check_size(root)
        return yaml.SafeLoader("").construct_document(root)
    except yaml.YAMLError as error:
        raise ProblemError(f"not readable as YAML: {_one_line(error)}") from error


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEPTH:
            line = event.start_mark.line + 1  # type: ignore[union-attr]  # what is parsed from text has one
            raise ProblemError(f"the value in line {line} is nested more than {_MOST_DEPTH} times. Use fewer brackets.")


def _check_size(root: Any) -> None:
    """Adds up what every node stands for, each node once, its children before it."""
    sizes: dict[int, int] = {}
    begun: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting[-1]
        children = _children(node)
        unknown = [child for child in children if id(child) not in sizes]
        if id(node) in sizes or not unknown:
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children)
            waiting.pop()
        elif id(node) in begun:
            raise ProblemError(
                f"the value in line {node.start_mark.line + 1} contains itself through an alias. Write it out."
            )
        else:
            begun.add(id(node))
            waiting += unknown
            continue
        if sizes[id(node)] > _MOST_VALUES:
            raise ProblemError(
                f"the value in line {node.start_mark.line + 1} has more than {_MOST_VALUES:,} parts, aliases written "
                "out. Use fewer."
            )


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


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
            for key, _ in node.value:
                if key.tag == "tag:yaml.org,2002:bool":  # YAML 1.1 takes the name `on` for true
                    key.tag = "tag:yaml.org,2002:str"
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
                    f"key '{key.value}' occurs twice, in lines {lines[key.value]} and {line}. Remove one of them."
                )
            lines[key.value] = line
