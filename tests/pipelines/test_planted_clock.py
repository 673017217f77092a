"""A log whose future tells the label: what the job writes must not, and a job that looks ahead is caught.

Every label is a coin, drawn anew for a row. A model that counts how often the example's own item stands in its
histories has nothing to go by, unless a history holds the example's own event.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfmtl.preprocessing.fitting.label_windows
import tfmtl.preprocessing.writing.encode
from tests.support.small_log import records, run, values, write_csv
from tfmtl.preprocessing.writing.sequences import Windows
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    HistoryFeature,
    Keys,
    LabelWindow,
    MatchFeature,
    Problem,
    SequenceFeature,
    Split,
)

HOUR = 3600
PROBLEM = Problem(
    "clock",
    keys=Keys("user", "ts", group="row"),
    features=(
        CategoricalFeature("item"),
        CategoricalFeature("buys"),
        HistoryFeature("bought"),
        MatchFeature("bought", ("item",)),
    ),
    sequences=(
        SequenceFeature("bought", ("item",), when="buy == 1", max_length=50),
        SequenceFeature("seen", ("item",), max_length=50),
    ),
    tasks=(
        BinaryTask("buy", known_at_event=True),
        BinaryTask("again", label_window=LabelWindow("buy == 1", 3, same="item")),
    ),
    split=Split(by="column", column="part"),
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A view every two hours, of ten thousand items; bought at once for a coin, again an hour later for another."""
    generator = np.random.default_rng(3)
    rows = []
    for user in range(20):
        for step in range(40):
            row = {"user": f"u{user}", "ts": 2 * step * HOUR, "item": f"i{generator.integers(10_000)}", "part": "train"}
            buy, again = (int(coin) for coin in generator.integers(0, 2, 2))
            rows.append({**row, "row": f"r{user}.{step}", "buy": buy, "buys": f"b{buy}"})
            if again:
                rows.append({**rows[-1], "row": "later", "ts": row["ts"] + HOUR, "buy": 1})
    order = generator.permutation(len(rows)).tolist()
    return write_csv(tmp_path_factory.mktemp("clock") / "log.csv", [rows[n] for n in order])


def _auc(scores: list[float], labels: list[float]) -> float:
    """Of pairs of a positive and a negative, the share in the right order."""
    score, positive = np.array(scores, float), np.array(labels) == 1.0
    difference = score[positive][:, None] - score[~positive][None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def _examples(folder: Path, log: Path) -> list[dict[str, list[Any]]]:
    run(folder / "out", log, problem=PROBLEM)
    found = [values(record, PROBLEM) for record in records(folder / "out", "train")]
    return [example for example in found if example["key:group"] != [b"later"]]


def _count_auc(examples: list[dict[str, list[Any]]], task: str) -> float:
    """Of the number of times that the example's item occurs among its events, in either direction."""
    known = [example for example in examples if f"label:{task}" in example]
    counts = [example["bought__item"].count(example["item"][0]) for example in known]
    auc = _auc(counts, [example[f"label:{task}"][0] for example in known])
    return max(auc, 1.0 - auc)


def _derived_auc(examples: list[dict[str, list[Any]]], field: str) -> float:
    """Of a number derived from the history, for whether the example itself is bought, in either direction."""
    auc = _auc([example[f"{field}__x"][0] for example in examples], [example["label:buy"][0] for example in examples])
    return max(auc, 1.0 - auc)


def _own_auc(examples: list[dict[str, list[Any]]]) -> float:
    """Of whether the example itself was bought, for whether its item is bought again."""
    known = [example for example in examples if "label:again" in example]
    first = known[0]["buys"][0]
    auc = _auc([example["buys"][0] == first for example in known], [example["label:again"][0] for example in known])
    return max(auc, 1.0 - auc)


def test_no_history_holds_its_own_outcome(tmp_path: Path, log: Path) -> None:
    examples = _examples(tmp_path, log)
    assert len(examples) == 800
    assert _count_auc(examples, "buy") < 0.55
    assert _count_auc(examples, "again") < 0.55
    assert _own_auc(examples) < 0.55
    for number in ("match_item_count", "match_item_newest", "newest", "last_hour"):
        assert _derived_auc(examples, f"bought_{number}") < 0.55, number


def _up_to_now(
    users: np.ndarray, times: np.ndarray, is_event: np.ndarray, examples: np.ndarray, max_length: int
) -> Windows:
    """The mistake: `<=` where `event_windows` has `<`."""
    events = np.flatnonzero(is_event)
    own = [np.flatnonzero((users[events] == users[row]) & (times[events] <= times[row])) for row in examples]
    bounds = [(mine[-max_length:][0], mine[-1] + 1) if len(mine) else (0, 0) for mine in own]
    starts, stops = np.array(bounds).T
    return Windows(events, starts, stops)


def test_a_history_that_holds_it_is_caught(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfmtl.preprocessing.writing.encode, "event_windows", _up_to_now)
    examples = _examples(tmp_path, log)
    assert _count_auc(examples, "buy") > 0.95
    assert _derived_auc(examples, "bought_match_item_count") > 0.95


def _from_now(
    groups: np.ndarray, moments_of_log: tuple[np.ndarray, np.ndarray], ends: np.ndarray, is_event: np.ndarray
) -> np.ndarray:
    """The mistake: `>=` where `follows_within` has `>`."""
    moments, ranks = moments_of_log
    times = moments[ranks]
    inside = (times[None, :] >= times[:, None]) & (times[None, :] <= ends[:, None])
    return np.asarray((inside & (groups[None, :] == groups[:, None]) & is_event[None, :]).any(axis=1))


def test_a_label_that_counts_the_row_itself_is_caught(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the labels are then the row's own outcome: the AUC of that outcome is 5/6."""
    monkeypatch.setattr(tfmtl.preprocessing.fitting.label_windows, "follows_within", _from_now)
    assert _own_auc(_examples(tmp_path, log)) > 0.8
