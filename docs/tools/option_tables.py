"""Hook of MkDocs: the tables of the run file, a table per step, from its JSON Schema (`docs/schemas/run.json`)."""

import json
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parents[1] / "schemas" / "run.json"
MARK = "<!-- a table per step, from schemas/run.json -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts the tables where the mark is."""
    return markdown.replace(MARK, tables()) if MARK in markdown else markdown


def tables() -> str:
    """A heading and a table of options for every step, in the order of work."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    parts = []
    for step, place in schema["properties"].items():
        options = schema["$defs"].get(str(place.get("$ref", "")).rpartition("/")[2], {}).get("properties", {})
        if options and "$ref" in place:
            rows = "\n".join(_row(name, option) for name, option in options.items())
            parts.append(f"## {step}\n\n| option | default | meaning |\n|---|---|---|\n{rows}")
    return "\n\n".join(parts)


def _row(name: str, option: dict[str, Any]) -> str:
    default = f"`{json.dumps(option['default'])}`" if "default" in option else ""
    meaning = option.get("description", "").replace("|", "\\|").replace("<", "&lt;")
    return f"| `{name}` | {default} | {meaning} |"
