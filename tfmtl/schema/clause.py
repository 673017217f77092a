"""One comparison inside a row condition."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Clause:
    """`column operator value`; `value` is text or a number and decides how the column is read."""

    column: str
    operator: str
    value: str | float
