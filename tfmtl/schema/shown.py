"""Print values in error texts, cut to a readable length."""

import itertools
import reprlib
from collections.abc import Mapping

_MOST_CHARACTERS = 300
_MOST_PARTS = 10_000
_SHORT = 30


def shown(value: object) -> str:
    """`repr(value)`, cut where it would fill the screen: an error names the place, it does not print the file.

    Of what has very many parts only the first are looked at: aliases in a YAML file of a few lines make values whose
    `repr` would take hours.
    """
    if not _has_few_parts(value):
        return f"{reprlib.repr(value)[:_MOST_CHARACTERS]}... (more than {_MOST_PARTS:,} values)"
    text = repr(value)
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}... ({len(text):,} characters)"


def shown_short(text: str) -> str:
    """`repr(text)`, cut to a few words: for a line that says more than this value."""
    return repr(text if len(text) <= _SHORT else text[: _SHORT - 3] + "...")


def _has_few_parts(value: object) -> bool:
    """Whether lists and mappings in `value`, each as often as it stands there, hold no more than a printable number."""
    waiting, seen = [value], 0
    while waiting:
        parts = waiting.pop()
        if isinstance(parts, Mapping):
            parts = [*itertools.islice(parts, _MOST_PARTS), *itertools.islice(parts.values(), _MOST_PARTS)]
        elif not isinstance(parts, list | tuple | set | frozenset):
            continue
        seen += len(parts)
        if seen > _MOST_PARTS:
            return False
        waiting += parts
    return True
