"""YAML that reads back as what was written."""

from typing import Any

import yaml

_FOLDED = "\x85\u2028\u2029"  # line breaks to YAML: PyYAML writes them bare and reads them as a space


class _Writer(yaml.SafeDumper):
    """Writes texts with such characters in double quotes, where they are escaped."""


def _write_text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(character in text for character in _FOLDED) else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style)


_Writer.add_representer(str, _write_text)


def write_yaml(value: Any) -> str:
    """Plain values as YAML, keys in their order."""
    return str(yaml.dump(value, Dumper=_Writer, sort_keys=False, allow_unicode=True))
