"""Labels of later events, straight from the definition and as slow as that."""

from collections.abc import Callable, Sequence

from tests.support.slow_history import Row


def label_within(
    rows: Sequence[Row], index: int, is_event: Callable[[Row], bool], length: int, known_until: int, same: str | None
) -> float | None:
    """1 if an event follows row `index` within its window, else 0; `None` while that is not decided.

    The event is of the same user and, with `same`, has the row's value in that column. It comes after the row's time
    and at most `length` later.

    Args:
        rows: the log; `user` and `ts` are read.
        index: the row that is labeled.
        is_event: whether a row counts.
        length: of the window.
        known_until: the newest time of which one knows.
        same: column or `None`.
    """
    now = rows[index]
    if now["ts"] + length > known_until or (same is not None and not now[same]):
        return None
    for row in rows:
        inside = now["ts"] < row["ts"] <= now["ts"] + length
        if inside and row["user"] == now["user"] and is_event(row) and (same is None or row[same] == now[same]):
            return 1.0
    return 0.0
