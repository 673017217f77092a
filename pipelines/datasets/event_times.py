"""Time columns of event logs for the adapters."""

import pyarrow as pa

DAY = 86_400


def in_order_of_time(rows: pa.Table) -> pa.Table:
    """Rows of `timestamp`, `user_id`, `item_id` and `behavior` in an order that depends on nothing else."""
    return rows.sort_by([(key, "ascending") for key in ("timestamp", "user_id", "item_id", "behavior")])
