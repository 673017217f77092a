"""The JSON Schema of the files that `--config` reads, made from the commands' own options."""

import inspect
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin

import typer

from tfmtl.pipelines.cli.step_command import StepCommand
from tfmtl.schema.json_schema import DIALECT

_TYPES = {int: "integer", float: "number", bool: "boolean", list: "array"}


def run_schema(app: typer.Typer) -> dict[str, Any]:
    """The JSON Schema of run files: a section per step, or the options of one step alone.

    Args:
        app: the `tfmtl` command.

    Returns:
        Plain values, as `json.dumps` writes them.
    """
    steps = dict(_steps(typer.main.get_command(app)))
    flat: dict[str, list[dict[str, Any]]] = {}
    for step in steps.values():
        for name, option in step["properties"].items():
            kinds = flat.setdefault(name, [])
            kinds += [option] if option not in kinds else []
    options = {name: found[0] if len(found) == 1 else {"anyOf": found} for name, found in flat.items()}
    sections = {name: {"$ref": f"#/$defs/{name}"} for name in steps}
    return {
        "$schema": DIALECT,
        "title": "tfmtl run file",
        "type": "object",
        "properties": sections | {name: option for name, option in options.items() if name not in sections},
        "additionalProperties": False,
        "$defs": steps,
    }


def _steps(command: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and options of every step, in the order of the help page."""
    for name, step in getattr(command, "commands", {}).items():
        if isinstance(step, StepCommand):
            properties = {option.name: _option(option) for option in _parameters(step)}
            yield name, {"type": "object", "properties": properties, "additionalProperties": False}
        else:
            yield from _steps(step)


def _parameters(step: StepCommand) -> list[inspect.Parameter]:
    """The parameters of a step's function whose values the command line gives, and those of its dataclass."""
    own = inspect.signature(step.callback, eval_str=True).parameters.values() if step.callback else ()
    options = getattr(step.callback, "dataclass_options", None)
    return [
        parameter
        for parameter in (*own, *(options.signature().parameters.values() if options else ()))
        if get_origin(parameter.annotation) is Annotated
    ]


def _option(parameter: inspect.Parameter) -> dict[str, Any]:
    """The schema of one option; `null` leaves it at its default."""
    hint, info = get_args(parameter.annotation)[:2]
    kinds = [kind for kind in (get_args(hint) if isinstance(hint, UnionType) else (hint,)) if kind is not NoneType]
    names = list(dict.fromkeys(_TYPES.get(get_origin(kind) or kind, "string") for kind in kinds))
    # What is given several times as name=value may be a mapping.
    is_list = names == ["array"]
    schema: dict[str, Any] = {"type": [*names, *(["object"] if is_list else []), "null"]}
    schema |= {"items": {"type": "string"}} if is_list else {}
    schema |= {"description": info.help} if info.help else {}
    if isinstance(parameter.default, bool | int | float | str):
        schema["default"] = parameter.default
    return schema
