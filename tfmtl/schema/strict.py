"""Strict frozen dataclasses, built in Python or read from plain mappings.

A typo in a configuration must never pass silently, so unknown keys, missing
keys and wrong types are errors that name the place and the nearest valid key.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from tfmtl.schema.checks import did_you_mean
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.shown import shown

Record = TypeVar("Record")


def check_types(owner: str, record: Any) -> None:
    """Gives every field of a frozen dataclass its declared type (lists become tuples, ints floats), or raises.

    Equal problems must be equal however they were written down: their
    fingerprints tell data sets apart.
    """
    hints = typing.get_type_hints(type(record))
    for field in dataclasses.fields(record):
        value = _convert(owner, field.name, getattr(record, field.name), hints[field.name])
        object.__setattr__(record, field.name, value)


def read_record(cls: type[Record], mapping: object, where: str) -> Record:
    """Builds the dataclass `cls` from `mapping`, refusing unknown keys and wrong types.

    Args:
        cls: a dataclass type whose fields have plain types, or are such dataclasses themselves.
        mapping: what stood in the file.
        where: the place in the file, for the error text.
    """
    if not isinstance(mapping, Mapping):
        raise ProblemError(f"{where}: must be a mapping of keys to values. Received: {shown(mapping)}.")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            raise ProblemError(
                f"{where}: unknown key {shown(key)}. Known keys: {sorted(fields)}.{did_you_mean(str(key), fields)}"
            )
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in mapping:
            raise ProblemError(f"{where}: key '{name}' is missing. Add it.")
    hints = typing.get_type_hints(cls)
    values = {name: _read_part(hints[name], value, f"{where}.{name}") for name, value in mapping.items()}
    try:
        return cls(**values)
    except ProblemError as error:
        raise ProblemError(f"{where}: {error}") from error


def _read_part(hint: Any, value: object, where: str) -> object:
    """`value`, or the dataclass that a field of the type `hint` holds, read from a mapping."""
    parts = [option for option in typing.get_args(hint) or (hint,) if dataclasses.is_dataclass(option)]
    return read_record(parts[0], value, where) if parts and isinstance(value, Mapping) else value  # type: ignore[arg-type]


def read_list(value: object, where: str) -> list[Any]:
    """Returns `value` if it is a list, else raises."""
    if not isinstance(value, list):
        advice = " It is empty, or all its lines are comments: remove the #." if value is None else ""
        raise ProblemError(f"{where}: must be a list. Received: {shown(value)}.{advice}")
    return value


def plain(record: Any) -> dict[str, Any]:
    """The mapping that `read_record` reads back: only keys that differ from their default."""
    result: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.default is not dataclasses.MISSING and value == field.default:
            continue
        if isinstance(value, tuple):
            value = list(value)
        result[field.name] = plain(value) if dataclasses.is_dataclass(value) else value
    return result


def _convert(owner: str, argument: str, value: object, hint: Any) -> Any:
    """`value` as the type `hint`, or an error."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if typing.get_origin(option) is tuple:
            inner = typing.get_args(option)[0]
            if isinstance(value, list | tuple):
                return tuple(_convert(owner, f"{argument}[{i}]", item, inner) for i, item in enumerate(value))
        elif option is float:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
        elif isinstance(value, option) and (option is bool or not isinstance(value, bool)):
            return value
    raise ProblemError(
        f"{owner}: `{argument}` must be {_type_name(hint)}. "
        f"Received: {argument}={shown(value)} ({type(value).__name__})."
    )


def _type_name(hint: Any) -> str:
    if isinstance(hint, types.UnionType):
        return " or ".join(_type_name(option) for option in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return f"a list of {_type_name(typing.get_args(hint)[0])}"
    names = {str: "text", int: "an int", float: "a number", bool: "true or false", type(None): "nothing"}
    return str(names.get(hint, hint.__name__))
