"""Whether whole numbers are names is read from the labels; whether they are times, from their order."""

import numpy as np
import pyarrow as pa
import pytest

from tfmtl.proposal import roles
from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.feature_guess import guess_feature
from tfmtl.proposal.labels_by_value import label_that_differs

GENERATOR = np.random.default_rng(0)
ROWS = 6_000
USERS = GENERATOR.integers(0, 100, ROWS)
ITEMS = GENERATOR.integers(0, 400, ROWS)
NOISE = GENERATOR.normal(size=ROWS)


def _column(values: np.ndarray, name: str = "x") -> ColumnProfile:
    return ColumnProfile(name, pa.chunked_array([pa.array(values)]), len(values))


def _clicks(signal: np.ndarray) -> ColumnProfile:
    return _column((signal + NOISE > 0.0).astype(int), "click")


CODES = GENERATOR.integers(0, 60, 400)[ITEMS]  # several items each
EFFECTS = GENERATOR.normal(size=60)


@pytest.mark.parametrize("name", ["binary", "numbers"])
def test_codes_whose_labels_jump_are_names(name: str) -> None:
    signal = EFFECTS[CODES]
    label = _clicks(signal) if name == "binary" else _column(np.exp(2.0 * signal + NOISE), "spend")
    found = guess_feature(_column(CODES), "x", "item", labels=[label], owners=_column(ITEMS))
    assert found.values["kind"] == "categorical"
    assert found.why.startswith(f"whole numbers, but {label.name} differs from one to the next")


@pytest.mark.parametrize("curve", ["line", "threshold", "nothing"])
def test_amounts_are_numbers_however_the_label_follows_them(curve: str) -> None:
    amounts = GENERATOR.integers(0, 60, 400)[ITEMS]
    signal = {"line": amounts / 20.0 - 1.5, "threshold": 2.0 * (amounts > 31) - 1.0, "nothing": 0.0 * amounts}[curve]
    found = guess_feature(_column(amounts), "x", "item", labels=[_clicks(signal)], owners=_column(ITEMS))
    assert found.values["kind"] == "numeric"


def test_an_amount_that_only_one_item_has_does_not_name_it() -> None:
    lengths, liked = GENERATOR.permutation(400)[ITEMS], GENERATOR.normal(size=400)[ITEMS]
    assert label_that_differs(_column(lengths), [_clicks(liked)], _column(ITEMS)) is None
    assert label_that_differs(_column(lengths), [_clicks(liked)], None) == "click"  # what the items are asked for


def test_a_label_that_misses_in_most_rows_or_has_few_says_nothing() -> None:
    label = np.where(np.arange(ROWS) < 900, (EFFECTS[CODES] + NOISE > 0.0).astype(float), np.nan)
    assert label_that_differs(_column(CODES), [_column(label, "click")], _column(ITEMS)) is None


def test_numbers_that_rise_through_each_users_rows_are_seconds_from_some_start() -> None:
    seconds = np.sort(GENERATOR.integers(0, 10**6, ROWS))
    by_user = np.lexsort((seconds, USERS))
    spans = GENERATOR.integers(0, 10**6, ROWS)
    for order in (np.arange(ROWS), by_user):
        columns = {
            "user": _column(USERS[order], "user"),
            "time_s": _column(seconds[order], "time_s"),
            "play_time": _column(spans, "play_time"),
        }
        assert roles.find_time(columns, "user") == "time_s"
        assert roles.find_time({name: columns[name] for name in ("user", "play_time")}, "user") is None
        assert roles.find_time(columns, None) is None
