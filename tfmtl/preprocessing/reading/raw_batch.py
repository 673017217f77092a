"""Raw rows of one part of a file, before any value is parsed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

LINES, QUOTED, SPANNING = "lines", "quoted", "spanning"


@dataclass(frozen=True)
class RawBatch:
    """Rows of one file.

    Attributes:
        numbers: int `(rows,)`, of the rows in the file, from 0; unreadable rows count.
        rows: the raw columns.
        unreadable: `(number, reason)` of rows that are not in `rows`; they may lie behind it.
        counts: `LINES`: rows that the file has, counted apart from the reader, said once. `QUOTED`: values that begin
            and end with a quotation mark. `SPANNING`: values that go over several lines.
    """

    numbers: np.ndarray
    rows: pa.RecordBatch
    unreadable: Sequence[tuple[int, str]] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
