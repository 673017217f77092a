"""Read lists that a program wrote as text: as JSON, or as Python and NumPy print them."""

import json
import re
from typing import Any

from tfmtl.schema.spelling import spelled

_ITEM = re.compile(
    r"[\s,]*(?:'(?P<single>(?:[^'\\]|\\.)*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\"|(?P<bare>[^\s,'\"\[\](){}]+))(?=[\s,]|$)"
)
_ESCAPED = re.compile(r"\\(.)")
_BARE = {"none": None, "null": None, "nan": None, "true": True, "false": False}


def read_list(text: str | None) -> list[str | None] | None:
    """The items of a list as text, `None` among them where one is missing; `None` for a text that is no flat list.

    Example:

    >>> read_list('["new", 7, null]'), read_list("['new' 'red']"), read_list("new")
    (['new', '7', None], ['new', 'red'], None)
    """
    if text is None:
        return []
    try:
        items: Any = json.loads(text)
    except (ValueError, RecursionError):
        items = _printed(text.strip())
    if not isinstance(items, list) or any(isinstance(item, list | dict) for item in items):
        return None
    return [item if item is None or isinstance(item, str) else spelled(item) for item in items]


def _printed(text: str) -> list[Any] | None:
    """The items of a list, tuple or set as Python prints it, read sign by sign and never evaluated."""
    if text[:1] + text[-1:] not in ("[]", "()", "{}") or len(text) < 2:
        return None
    inside = text[1:-1].rstrip(", \t\r\n")
    items: list[Any] = []
    position = 0
    while position < len(inside):
        found = _ITEM.match(inside, position)
        if found is None:
            return None
        items.append(
            _bare(found["bare"]) if found["bare"] else _ESCAPED.sub(r"\1", found["single"] or found["double"] or "")
        )
        position = found.end()
    return items


def _bare(text: str) -> Any:
    if text.lower() in _BARE:
        return _BARE[text.lower()]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
