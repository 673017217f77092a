"""The JSON Schema of problem files, which editors complete and check them with; made from the records."""

import dataclasses
import types
import typing
from typing import Any

from tfmtl.schema.argument_texts import argument_texts
from tfmtl.schema.features.feature_record import FeatureRecord
from tfmtl.schema.problem import Problem
from tfmtl.schema.problem_file import DERIVED, FORMATS
from tfmtl.schema.registry import FEATURES, TASKS, Registry
from tfmtl.schema.tasks.task_record import TaskRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def problem_schema() -> dict[str, Any]:
    """The JSON Schema of problem files, with every kind of feature and task that is registered.

    It knows keys, types, defaults and choices. What depends on other parts of a file is left to `Problem`: whatever
    that accepts in a file, the schema accepts.

    Returns:
        Plain values, as `json.dumps` writes them.

    Example:

    >>> problem_schema()["required"]
    ['name', 'features', 'tasks']
    """
    definitions: dict[str, Any] = {}
    top = record_schema(Problem, definitions)
    top["properties"] |= {
        "features": _kinds(FEATURES, "feature", definitions, top["properties"]["features"]),
        "tasks": _kinds(TASKS, "task", definitions, top["properties"]["tasks"]),
        "format": {"enum": list(FORMATS), "description": "2: sequences bring features derived from them."},
        "derived": {"enum": list(DERIVED), "description": "With format 2, none: no derived features are added."},
    }
    return {"$schema": DIALECT, "title": "tfmtl problem file", **top, "$defs": dict(sorted(definitions.items()))}


def record_schema(cls: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a dataclass as a file holds it: no further keys, and the choices of fields as `Annotated` says.

    Args:
        cls: dataclass; fields that are not compared are no keys of the file.
        definitions: dict that takes the schemas of the dataclasses inside, by name.
    """
    hints, texts = typing.get_type_hints(cls, include_extras=True), argument_texts(cls)
    fields = [field for field in dataclasses.fields(cls) if field.compare]
    properties = {}
    for field in fields:
        schema = _type_schema(hints[field.name], definitions)
        schema |= {"description": texts[field.name]} if texts.get(field.name) else {}
        if field.default is not dataclasses.MISSING:
            schema["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
        properties[field.name] = schema
    required = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": required} if required else {})


def _kinds(registry: Registry, what: str, definitions: dict[str, Any], property_schema: Any) -> dict[str, Any]:
    """A list of records, each by the schema of its kind; an editor so names the one mistake and not all other kinds."""
    cases = []
    for kind in registry.names:
        schema = record_schema(registry.record(kind, what), definitions)
        schema["properties"] = {"kind": {"const": kind}, **schema["properties"]}
        definitions[f"{kind}_{what}"] = schema
        cases.append(
            {
                "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
                "then": {"$ref": f"#/$defs/{kind}_{what}"},
            }
        )
    one = {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": list(registry.names)}}}
    text = property_schema.get("description")
    return {"type": "array", **({"description": text} if text else {}), "items": {**one, "allOf": cases}}


def _type_schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    choices: tuple[str, ...] | None = None
    if typing.get_origin(hint) is typing.Annotated:
        hint, choices = typing.get_args(hint)
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    schemas = [_one_type(option, definitions) for option in options]
    if choices is not None:
        return {"enum": [*choices, *([None] if type(None) in options else [])]}
    if len(schemas) == 1:
        return schemas[0]
    if all(set(schema) == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def _one_type(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        is_kind = isinstance(inner, type) and issubclass(inner, FeatureRecord | TaskRecord)  # which `_kinds` describes
        return {"type": "array"} | ({} if is_kind else {"items": _type_schema(inner, definitions)})
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = record_schema(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return {"type": _PLAIN[hint]}
