"""Where a condition of the problem file holds."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing.reading.raw_columns import RawColumns
from tfmtl.schema import Condition

_COMPARE = {
    "==": pc.equal,
    "!=": pc.not_equal,
    ">=": pc.greater_equal,
    "<=": pc.less_equal,
    ">": pc.greater,
    "<": pc.less,
}


def holds(condition: Condition | None, raw: RawColumns, num_rows: int) -> pa.Array:
    """Where the condition holds; `None` holds everywhere, a missing value satisfies nothing."""
    result = pa.array(np.ones(num_rows, bool))
    for clause in condition.clauses if condition else ():
        column = raw.text(clause.column) if isinstance(clause.value, str) else raw.number(clause.column)
        result = pc.and_(result, pc.fill_null(_COMPARE[clause.operator](column, clause.value), False))
    return result
