"""The nodes of a parsed row condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Clause:
    """`column operator value`.

    Attributes:
        column: str.
        operator: `==`, `!=`, `>=`, `<=`, `>`, `<` or `in`.
        value: text or a number, which decides how the column is read; with `in` a tuple of one of the two.
    """

    column: str
    operator: str
    value: str | float | tuple[str | float, ...]

    @property
    def reads_text(self) -> bool:
        """Whether the column is read as text, and not as a number."""
        return isinstance(self.value[0] if isinstance(self.value, tuple) else self.value, str)


@dataclass(frozen=True)
class AllOf:
    """True if every part is true."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class AnyOf:
    """True if at least one part is true."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Not:
    """True if its part is known to be false."""

    part: Expression


Expression = Clause | AllOf | AnyOf | Not


def clauses_of(expression: Expression) -> Iterator[Clause]:
    """The comparisons of an expression, from left to right."""
    if isinstance(expression, Clause):
        yield expression
    elif isinstance(expression, Not):
        yield from clauses_of(expression.part)
    else:
        for part in expression.parts:
            yield from clauses_of(part)
