"""Point-in-time histories, straight from the definition and as slow as that."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def events_before(rows: Sequence[Row], index: int, is_event: Callable[[Row], bool]) -> list[int]:
    """Rows that are events of the same user strictly before row `index`, oldest first, ties in the log's order.

    Args:
        rows: the log; `user` and `ts` are read.
        index: the row whose history is asked for.
        is_event: whether a row counts.
    """
    now = rows[index]
    past = [i for i, row in enumerate(rows) if row["user"] == now["user"] and row["ts"] < now["ts"] and is_event(row)]
    return sorted(past, key=lambda i: (rows[i]["ts"], i))
