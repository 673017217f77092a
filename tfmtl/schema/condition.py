"""Row conditions: `rating >= 4 and behavior == 'cart'`."""

import re
from dataclasses import dataclass

from tfmtl.schema.clause import Clause
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.shown import shown

_CLAUSE = re.compile(
    r"\s*(?P<column>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<operator>==|!=|>=|<=|>|<)\s*"
    r"(?P<value>'[^']*'|\"[^\"]*\"|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
)
_AND = re.compile(r"and\b")


@dataclass(frozen=True)
class Condition:
    """A conjunction of comparisons of a column with a constant.

    The grammar is deliberately small, parsed here and never evaluated as code:
    `column operator constant [and ...]` with the operators `== != >= <= > <`.
    A quoted constant compares as text (`==` and `!=` only), a bare number
    compares as a number. A missing value satisfies no comparison.

    Args:
        text: str. The condition as written in the problem file.

    Raises:
        ProblemError: the text does not follow the grammar.
    """

    text: str

    def __post_init__(self) -> None:
        _parse(self.text)

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """The comparisons, all of which must hold."""
        return _parse(self.text)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the condition reads."""
        return tuple(clause.column for clause in self.clauses)


def _parse(text: str) -> tuple[Clause, ...]:
    clauses = []
    position = 0
    while True:
        match = _CLAUSE.match(text, position)
        if not match:
            raise ProblemError(
                f"Condition: cannot read {shown(text[position:])} in {shown(text)}. "
                "Write `column operator constant`, joined by `and`, for example \"rating >= 4 and kind == 'cart'\"."
            )
        literal = match["value"]
        quoted = literal[0] in "'\""
        if quoted and match["operator"] not in ("==", "!="):
            raise ProblemError(
                f"Condition: text is compared with == or != only. Received: {shown(text)}. "
                "Remove the quotes to compare as numbers."
            )
        value = literal[1:-1] if quoted else float(literal)
        clauses.append(Clause(match["column"], match["operator"], value))
        position = match.end()
        if position == len(text):
            return tuple(clauses)
        joint = _AND.match(text, position)
        if not joint:
            raise ProblemError(
                f"Condition: expected `and` before {shown(text[position:])} in {shown(text)}. "
                "Only conjunctions are supported; add a column to the log for anything else."
            )
        position = joint.end()
