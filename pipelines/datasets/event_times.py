"""Time columns of event logs for the adapters."""

import numpy as np
import pyarrow as pa

DAY = 86_400
_MONDAY = 3  # days from a Monday to 1970-01-01


def in_order_of_time(rows: pa.Table) -> pa.Table:
    """Rows of `timestamp`, `user_id`, `item_id` and `behavior` in an order that depends on nothing else."""
    return rows.sort_by([(key, "ascending") for key in ("timestamp", "user_id", "item_id", "behavior")])


def calendar_columns(local: np.ndarray) -> dict[str, pa.Array]:
    """`hour`, 0 to 23, and `weekday`, 0 for Monday, of seconds on the clock of the place."""
    return {"hour": pa.array(local // 3600 % 24), "weekday": pa.array((local // DAY + _MONDAY) % 7)}
