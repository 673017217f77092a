"""One line of a proposed problem file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A guess and its reason.

    Attributes:
        values: what the line says, as `Problem.from_dict` reads it.
        why: one sentence.
    """

    values: Mapping[str, Any]
    why: str
