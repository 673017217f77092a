"""What users took, against loops over the rows."""

import numpy as np
import pyarrow as pa
import pytest

from tfmtl.preprocessing import columns
from tfmtl.retrieval.taken_items import TakenItems

ROWS, USERS, ITEMS = 200, 5, 12


@pytest.fixture(scope="module")
def log() -> tuple[pa.Table, np.ndarray]:
    """Rows in no order, some of one time, some of no item of the index."""
    random = np.random.default_rng(4)
    times = random.integers(0, 60, ROWS)
    table = pa.table(
        {
            columns.USER: [f"u{user}" for user in random.integers(0, USERS, ROWS)],
            columns.TIME: times,
            columns.SPLIT: pa.array(np.searchsorted([40, 50], times, side="right"), pa.int8()),
        }
    )
    return table, random.integers(-1, ITEMS, ROWS)


def test_a_row_knows_its_own_split_and_those_before(log: tuple[pa.Table, np.ndarray]) -> None:
    table, items = log
    taken = TakenItems(table, items, ITEMS)
    rows, asked = np.arange(ROWS), np.tile(np.arange(ITEMS), (ROWS, 1))
    since = taken.since(rows, asked)
    users, times, splits = (table[name].to_numpy() for name in (columns.USER, columns.TIME, columns.SPLIT))
    for row in rows:
        known = (users == users[row]) & (splits <= splits[row])
        for item in range(ITEMS):
            of_item = times[known & (items == item)]
            assert since[row, item] == (of_item >= times[row]).any()
    assert 0 < since.sum() < since.size


def test_without_users_and_times_every_row_stands_alone() -> None:
    table = pa.table({columns.SPLIT: pa.array([0, 0, 2], pa.int8())})
    taken = TakenItems(table, np.array([1, -1, 0]), 3)
    found = taken.since(np.arange(3), np.tile(np.arange(3), (3, 1)))
    assert found.tolist() == [[False, True, False], [False, False, False], [True, False, False]]


def test_a_split_without_rows_knows_nothing() -> None:
    table = pa.table({columns.USER: ["a"], columns.TIME: [3], columns.SPLIT: pa.array([2], pa.int8())})
    assert TakenItems(table, np.array([0]), 1).since(np.array([0]), np.array([[0]])).all()
    assert not TakenItems(table, np.array([-1]), 1).since(np.array([0]), np.array([[0]])).any()
