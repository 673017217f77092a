"""Plain names for columns whose names cannot be names of tensors."""

import re
import unicodedata
from collections.abc import Sequence

from tfmtl.schema.checks import is_argument, is_name

_TRANSLITERATED = {"ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "ł": "l", "€": "EUR", "$": "USD", "%": "percent"}
_LONGEST = 80
_LETTERS = str.maketrans(_TRANSLITERATED)


def plain_names(columns: Sequence[str]) -> dict[str, str]:
    """Column -> a name of letters, digits and single underscores: its own where it is one, and never one twice."""
    plain = {column: _plain(column) for column in columns}
    taken = {column for column in columns if plain[column] == column}
    for number, column in enumerate(columns):
        if plain[column] == column:
            continue
        first = name = plain[column] or f"column_{number + 1}"
        copy = 1
        while name in taken:
            copy += 1
            name = f"{first}_{copy}"
        plain[column] = name
        taken.add(name)
    return plain


def _plain(column: str) -> str:
    """`Preis (€)` is `Preis_EUR`; a text without a letter or digit that can be kept is empty."""
    if is_name(column) and is_argument(column):
        return column
    letters = unicodedata.normalize("NFKD", column.translate(_LETTERS)).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", letters)[:_LONGEST].strip("_")
    return f"n_{name}" if name[:1].isdigit() or not is_argument(name) else name
