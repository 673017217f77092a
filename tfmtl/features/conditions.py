"""Where a row condition holds, of a log or of records."""

from functools import reduce
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.schema import Condition
from tfmtl.schema.clause import AllOf, AnyOf, Expression, Not

_COMPARE = {
    "==": pc.equal,
    "!=": pc.not_equal,
    ">=": pc.greater_equal,
    "<=": pc.less_equal,
    ">": pc.greater,
    "<": pc.less,
}


class Columns(Protocol):
    """The columns that a condition reads."""

    def text(self, name: str) -> pa.Array:
        """The column as strings, null where missing."""

    def number(self, name: str) -> pa.Array:
        """The column as float64, null where missing."""


def holds(condition: Condition | None, raw: Columns, num_rows: int) -> pa.Array:
    """Where the condition holds; `None` holds everywhere, what is unknown does not."""
    if condition is None:
        return pa.array(np.ones(num_rows, bool))
    return pc.fill_null(_truth(condition.expression, raw), False)


def _truth(expression: Expression, raw: Columns) -> pa.Array:
    """True, false, or null where a missing value leaves it unknown."""
    if isinstance(expression, Not):
        return pc.invert(_truth(expression.part, raw))
    if isinstance(expression, AllOf | AnyOf):
        join = pc.and_kleene if isinstance(expression, AllOf) else pc.or_kleene
        return reduce(join, [_truth(part, raw) for part in expression.parts])
    column = raw.text(expression.column) if expression.reads_text else raw.number(expression.column)
    if expression.operator == "in":
        known = pc.is_in(column, pa.array(expression.value, column.type))
        return pc.if_else(pc.is_valid(column), known, pa.scalar(None, pa.bool_()))
    return _COMPARE[expression.operator](column, expression.value)
