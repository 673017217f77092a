"""Row conditions: `rating >= 4 and (behavior == 'cart' or not source in ('ad', 'mail'))`."""

import re
from dataclasses import dataclass
from typing import NoReturn

from tfmtl.schema.clause import AllOf, AnyOf, Clause, Expression, Not, clauses_of
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.shown import shown

_TOKEN = re.compile(
    r"\s*(?:(?P<quoted>`[^`]+`)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<operator>==|!=|>=|<=|>|<)|(?P<mark>[(),])"
    r"|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![A-Za-z0-9_.]))|(?P<word>[A-Za-z_][A-Za-z0-9_]*(?!\.)))"
)
_WORDS = ("and", "or", "not", "in")
_DEEPEST = 50


@dataclass(frozen=True)
class Condition:
    """Comparisons of columns with constants, joined by `and`, `or`, `not` and parentheses.

    The grammar is deliberately small, parsed here and never evaluated as code:
    `column operator constant` with the operators `== != >= <= > <`, or
    `column in (constant, ...)` and `not in`; `not` binds closest, then `and`,
    then `or`. A column of another name than letters, digits and underscores
    stands in backquotes. A quoted constant compares as text (`==`, `!=` and
    `in` only), a bare number as a number. Of a missing value it is unknown
    whether a comparison holds, before and after `not`, and what is unknown
    does not hold.

    Args:
        text: str. The condition as written in the problem file.

    Raises:
        ProblemError: the text does not follow the grammar.

    Example:

    >>> Condition("`unit price` > 2.5 and not kind in ('gift', 'test')").columns
    ('unit price', 'kind')
    """

    text: str

    def __post_init__(self) -> None:
        _Parser(self.text).parse()

    @property
    def expression(self) -> Expression:
        """The condition as a tree of comparisons."""
        return _Parser(self.text).parse()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the condition reads."""
        return tuple(clause.column for clause in clauses_of(self.expression))


class _Parser:
    """Reads the text from left to right, a method a rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = self._start = 0  # of the next token, of the comparison it is in
        self._depth = 0

    def parse(self) -> Expression:
        expression = self._any()
        if self._rest:
            self._fail("expected `and` or `or` before", "Join comparisons by `and` or `or`.")
        return expression

    # === Grammar ===

    def _any(self) -> Expression:
        parts = [self._all()]
        while self._take("word", "or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all(self) -> Expression:
        parts = [self._one()]
        while self._take("word", "and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _one(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail("has too many parentheses and `not`s at", f"At most {_DEEPEST} may lie in one another.")
        if self._take("word", "not"):
            expression: Expression = Not(self._one())
        elif self._take("mark", "("):
            expression = self._any()
            if not self._take("mark", ")"):
                self._fail("expected `)` before", "Close every parenthesis.")
        else:
            expression = self._comparison()
        self._depth -= 1
        return expression

    def _comparison(self) -> Expression:
        start = self._start = self._position
        column = (self._take("quoted") or "").strip("`") or self._take("word")
        if column is None or (column in _WORDS and self._text[start:].lstrip()[:1] != "`"):
            self._unreadable()
        if self._take("word", "in"):
            return Clause(column, "in", self._constants())
        if self._take("word", "not"):
            if not self._take("word", "in"):
                self._unreadable()
            return Not(Clause(column, "in", self._constants()))
        operator = self._take("operator")
        if operator is None:
            self._unreadable()
        value = self._constant()
        if isinstance(value, str) and operator not in ("==", "!="):
            raise ProblemError(
                f"Condition: text is compared with ==, != or `in` only. Received: {shown(self._text)}. "
                "Remove the quotes to compare as numbers."
            )
        return Clause(column, operator, value)

    def _constants(self) -> tuple[str | float, ...]:
        if not self._take("mark", "("):
            self._fail("expected `(` before", "Write `column in ('a', 'b')`.")
        values = [self._constant()]
        while self._take("mark", ","):
            values.append(self._constant())
        if not self._take("mark", ")"):
            self._fail("expected `,` or `)` before", "Write `column in ('a', 'b')`.")
        if len({isinstance(value, str) for value in values}) > 1:
            raise ProblemError(
                f"Condition: the values after `in` must be all text or all numbers. Received: {shown(self._text)}. "
                "Quote all of them or none."
            )
        return tuple(values)

    def _constant(self) -> str | float:
        text = self._take("text")
        if text is not None:
            return text[1:-1]
        number = self._take("number")
        if number is None:
            self._unreadable()
        return float(number)

    # === Text ===

    @property
    def _rest(self) -> str:
        return self._text[self._position :].strip()

    def _take(self, kind: str, wanted: str | None = None) -> str | None:
        """The next token, if it is of the kind, and then goes behind it."""
        found = _TOKEN.match(self._text, self._position)
        if found is None or found.lastgroup != kind or (wanted is not None and found[kind] != wanted):
            return None
        self._position = found.end()
        return str(found[kind])

    def _unreadable(self) -> NoReturn:
        self._position = self._start
        self._fail(
            "cannot read",
            'Write `column operator constant`, joined by `and`, `or`, `not` and parentheses, for example "rating >= 4 '
            "and kind == 'cart'\"; a column of another name stands in backquotes.",
        )

    def _fail(self, what: str, advice: str) -> NoReturn:
        raise ProblemError(f"Condition: {what} {shown(self._rest)} in {shown(self._text)}. {advice}")
