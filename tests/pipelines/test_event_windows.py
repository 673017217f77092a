"""Windows over events against the definition: same user, strictly before, the last L, oldest first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.slow_history import events_before
from tfmtl.preprocessing.writing.sequences import event_windows

_LOGS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-3, 6), st.booleans(), st.booleans()).map(
        lambda row: dict(zip(("user", "ts", "is_event", "is_example"), row, strict=True))
    ),
    max_size=40,
)


def _windows(rows: list[dict], max_length: int) -> tuple[list[int], list[list[int]]]:
    """Example rows and the event rows of each, through the function under test; `rows` are sorted."""
    columns = {name: np.array([row[name] for row in rows], int) for name in ("user", "ts", "is_event", "is_example")}
    examples = np.flatnonzero(columns["is_example"])
    windows = event_windows(columns["user"], columns["ts"], columns["is_event"] == 1, examples, max_length)
    assert windows.rows.tolist() == np.flatnonzero(columns["is_event"]).tolist()
    pairs = zip(windows.starts, windows.stops, strict=True)
    return examples.tolist(), [windows.rows[start:stop].tolist() for start, stop in pairs]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(rows=_LOGS, max_length=st.integers(1, 6))
def test_windows_equal_the_definition(rows: list[dict], max_length: int) -> None:
    rows = sorted(rows, key=lambda row: (row["user"], row["ts"]))
    examples, windows = _windows(rows, max_length)
    expected = [events_before(rows, example, lambda row: row["is_event"])[-max_length:] for example in examples]
    assert windows == expected


def test_a_log_written_out() -> None:
    rows = [{"user": 0, "ts": ts, "is_event": True, "is_example": True} for ts in (1, 1, 2, 2, 3)]
    rows += [{"user": 1, "ts": ts, "is_event": ts != 2, "is_example": ts == 3} for ts in (0, 1, 2, 3)]
    examples, windows = _windows(rows, max_length=3)
    assert examples == [0, 1, 2, 3, 4, 8]
    assert windows == [[], [], [0, 1], [0, 1], [1, 2, 3], [5, 6]]


@pytest.mark.parametrize("num_rows", [0, 3])
def test_no_examples(num_rows: int) -> None:
    rows = [{"user": 0, "ts": ts, "is_event": True, "is_example": False} for ts in range(num_rows)]
    assert _windows(rows, max_length=2) == ([], [])


def test_the_reference_tells_a_tie_from_a_past_event() -> None:
    rows = [{"user": 0, "ts": ts} for ts in (5, 4, 5, 3)]
    assert events_before(rows, 0, lambda row: True) == [3, 1]
    assert events_before(rows, 2, lambda row: True) == [3, 1]
    assert events_before(rows, 3, lambda row: True) == []
