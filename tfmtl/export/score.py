"""Score formulas over tasks: arithmetic expressions, parsed here and computed in the graph."""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfmtl.schema.checks import did_you_mean, error_text
from tfmtl.schema.shown import shown

_ADVICE = "Use numbers, tasks, + - * / ** and parentheses."
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\*\*|[-+*/()]))"
)
_MAX_CHARACTERS = 1000
_MAX_DEPTH = 50

_Value = Callable[[Mapping[str, Any]], Any]
_Operation = Callable[[Any, Any], Any]
_SUMS: dict[str, _Operation] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: dict[str, _Operation] = {"*": operator.mul, "/": operator.truediv}


class Score:
    """An expression over the tasks' predictions, such as `click*0.3 + click*buy*5`.

    Numbers, task names, `+ - * / **`, unary minus and parentheses, with Python's precedence: `-a ** 2` is `-(a ** 2)`,
    `a ** b ** c` is `a ** (b ** c)`. Nothing else is read, so a text from a stranger can do no harm.

    Args:
        text: str. The expression, of 1000 characters at most.
        tasks: names that may occur in it.

    Raises:
        ValueError: the text is not such an expression, names an unknown task or no task, or divides by a literal 0.
            The error names the place in the text where there is one.
    """

    def __init__(self, text: str, tasks: Sequence[str]) -> None:
        self.text = text
        if len(text) > _MAX_CHARACTERS:
            advice = f"It has {len(text)}."
            raise ValueError(error_text("Score", "text", f"have at most {_MAX_CHARACTERS} characters", text, advice))
        parser = _Parser(text, tasks)
        self._value = parser.read()
        if not parser.names:
            raise ValueError(error_text("Score", "text", "name at least one task", text, f"Tasks: {list(tasks)}."))
        self._check_constants(tasks)

    def value(self, predictions: Mapping[str, Any]) -> Any:
        """The score, where a task stands for its array or tensor."""
        return self._value(predictions)

    def _check_constants(self, tasks: Sequence[str]) -> None:
        """Raises if what is between numbers alone has no value; between arrays NumPy and TensorFlow give infinity."""
        try:
            with np.errstate(all="ignore"):
                value = self.value(dict.fromkeys(tasks, np.float64(0.37)))
        except ArithmeticError:
            value = None
        if value is None or isinstance(value, complex):
            raise ValueError(error_text("Score", "text", "have a value", self.text, "Look at the numbers in it."))


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    """Reads an expression by recursive descent; each method reads one rule and returns its value's function.

    sum: product (("+" | "-") product)*         product: signed (("*" | "/") signed)*
    signed: "-" signed | atom ("**" signed)?    atom: number | name | "(" sum ")"
    """

    def __init__(self, text: str, tasks: Sequence[str]) -> None:
        self.names: set[str] = set()
        self._text = text
        self._tasks = list(tasks)
        self._depth = 0
        self._tokens = list(self._split())

    def read(self) -> _Value:
        value = self._sum()
        if self._next.kind != "end":
            raise self._error("expected an operator", self._next.position)
        return value

    @property
    def _next(self) -> _Token:
        return self._tokens[0]

    def _sum(self) -> _Value:
        return self._operations(_SUMS, self._product)

    def _product(self) -> _Value:
        return self._operations(_PRODUCTS, self._signed)

    def _operations(self, known: Mapping[str, _Operation], operand: Callable[[], _Value]) -> _Value:
        value = operand()
        while self._next.text in known:
            value = _applied(known[self._tokens.pop(0).text], value, operand())
        return value

    def _signed(self) -> _Value:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"nested deeper than {_MAX_DEPTH}", self._next.position)
        if self._next.text == "-":
            self._tokens.pop(0)
            value = _applied(operator.sub, lambda predictions: 0.0, self._signed())
        else:
            value = self._atom()
            if self._next.text == "**":
                self._tokens.pop(0)
                value = _applied(operator.pow, value, self._signed())
        self._depth -= 1
        return value

    def _atom(self) -> _Value:
        token = self._tokens.pop(0)
        if token.kind == "number":
            number = float(token.text)
            if not math.isfinite(number):
                raise self._error("the number is too large", token.position)
            return lambda predictions: number
        if token.kind == "name":
            self._check_task(token)
            return lambda predictions: predictions[token.text]
        if token.text != "(":
            raise self._error("expected a number, a task or '('", token.position)
        value = self._sum()
        if self._next.text != ")":
            raise self._error("expected ')'", self._next.position)
        self._tokens.pop(0)
        return value

    def _check_task(self, token: _Token) -> None:
        if token.text not in self._tasks:
            advice = f"Tasks: {self._tasks}.{did_you_mean(token.text, self._tasks)}"
            raise self._error(f"no task is called {token.text!r}", token.position, advice)
        self.names.add(token.text)

    def _split(self) -> Iterator[_Token]:
        position, length = 0, len(self._text.rstrip())
        while position < length:
            match = _TOKEN.match(self._text, position)
            if match is None:
                position += len(self._text[position:]) - len(self._text[position:].lstrip())
                raise self._error(f"cannot read {self._text[position]!r}", position)
            kind = str(match.lastgroup)
            yield _Token(kind, match[kind], match.start(kind))
            position = match.end()
        yield _Token("end", "", length)

    def _error(self, what: str, position: int, advice: str = _ADVICE) -> ValueError:
        return ValueError(f"Score: {what} at character {position + 1} of {shown(self._text)}. {advice}")


def _applied(operation: _Operation, left: _Value, right: _Value) -> _Value:
    return lambda predictions: operation(left(predictions), right(predictions))
