"""A log for two stages."""

import pyarrow as pa

from tests.support.tiny_problem import tiny_log

ITEM = "item"


def two_stage_log() -> pa.Table:
    """The tiny log, in which an item comes up when training is over."""
    table = tiny_log()
    items = [
        "late" if row >= 400 and item in ("i3", "i4") else item for row, item in enumerate(table[ITEM].to_pylist())
    ]
    return table.set_column(table.schema.get_field_index(ITEM), ITEM, pa.array(items))
