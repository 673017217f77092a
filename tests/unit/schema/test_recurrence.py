"""Values that do not come again, such as those of sessions."""

import numpy as np
import pyarrow as pa
import pytest

from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.recurrence import never_comes_again

GENERATOR = np.random.default_rng(0)
SECONDS = np.sort(GENERATOR.integers(1_600_000_000, 1_602_000_000, 2_000))
ISO = SECONDS.astype("datetime64[s]").astype(str)


def _column(values: np.ndarray) -> ColumnProfile:
    return ColumnProfile("x", pa.chunked_array([pa.array(values)]), len(values))


@pytest.mark.parametrize("times", [SECONDS, ISO, SECONDS.astype("datetime64[s]")], ids=["seconds", "text", "timestamp"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_sessions_are_told_from_shops(times: np.ndarray, shuffled: bool) -> None:
    order = GENERATOR.permutation(2_000) if shuffled else np.arange(2_000)
    sessions = np.array([f"s{n // 10}" for n in range(2_000)])
    shops = GENERATOR.integers(0, 200, 2_000)
    some_again = np.where(np.arange(2_000) % 20 == 0, "home", sessions)  # one row in twenty
    assert never_comes_again(_column(sessions[order]), _column(times[order]))
    assert not never_comes_again(_column(shops[order]), _column(times[order]))
    assert not never_comes_again(_column(some_again[order]), _column(times[order]))


def test_values_of_single_rows_and_small_logs_say_nothing() -> None:
    assert not never_comes_again(_column(np.arange(2_000)), _column(SECONDS))
    assert not never_comes_again(_column(np.arange(190) // 10), _column(SECONDS[:190]))
