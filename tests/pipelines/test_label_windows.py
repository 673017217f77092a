"""Late labels, one rule at a time."""

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.support.odd_rows import canonical
from tests.support.slow_labels import label_within
from tests.support.small_log import contents, run, write_csv
from tfmtl.data import PreparedData
from tfmtl.pipelines.cli.screen import print_manifest
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.label_windows import follows_within, join_labels, known_until, newest_time
from tfmtl.preprocessing.plan import Plan
from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, LabelWindow, Problem, Split

HOUR = 3600
LATEST = np.iinfo(np.int64).max
TASK = BinaryTask("later", label_window=LabelWindow("kind == 'buy'", 2, same="item"))


def _problem(*tasks: BinaryTask, **changes: Any) -> Problem:
    everything = Split(by="column", column="part")
    parts = {"features": (CategoricalFeature("item"),), "keys": Keys("user", "ts", "row"), "split": everything}
    return Problem("late", tasks=tasks or (TASK,), **{**parts, **changes})


def _row(name: str, time: float, **change: Any) -> dict[str, Any]:
    row = {"row": name, "user": "u", "ts": int(time * HOUR), "item": "a", "kind": "view", "click": 1, "part": "train"}
    return {**row, **change}


def _joined(problem: Problem, rows: Sequence[dict[str, Any]]) -> tuple[pa.Table, dict[str, int]]:
    """The examples with their labels, through the job's stages one after the other."""
    plan = Plan(problem, "", 1)
    batches = canonical(problem, rows, cuts=[len(rows) // 2])
    counted = [pair for batch in batches for pair in plan.count_times(batch)]
    assert {key for key, _ in counted} == {("newest",)}
    cuts = plan.find_cuts({("newest",): plan.merge_times([table for _, table in counted])})
    table = pa.Table.from_batches([plan.assign_split(batch, cuts) for batch in batches])
    joined, undecided = join_labels(problem, table)
    assert joined.schema == table.schema
    return joined.filter(joined[columns.IS_EXAMPLE]), undecided


def _labels(problem: Problem, rows: Sequence[dict[str, Any]], task: str = "later") -> dict[str, Any]:
    """Row -> its label, `None` where it is missing."""
    joined, _ = _joined(problem, rows)
    names = [rows[n]["row"] for n in joined[columns.ROW].to_pylist()]
    return dict(zip(names, joined[columns.label(task)].to_pylist(), strict=True))


END = _row("end", 100, user="other")  # so that no window is open


# === The window ===


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    log=st.lists(st.tuples(st.integers(0, 2), st.integers(-4, 8), st.booleans()), max_size=30),
    length=st.integers(1, 6),
)
def test_the_join_equals_the_definition(log: list[tuple[int, int, bool]], length: int) -> None:
    rows = [{"user": user, "ts": time, "is_event": is_event} for user, time, is_event in log]
    groups, times, is_event = (np.array([row[n] for row in rows], int) for n in ("user", "ts", "is_event"))
    found = follows_within(groups, np.unique(times, return_inverse=True), times + length, is_event == 1)
    expected = [label_within(rows, i, lambda row: row["is_event"], length, 99, None) for i in range(len(rows))]
    assert found.tolist() == [label == 1.0 for label in expected]


def test_the_ends_of_the_window() -> None:
    """(t, t + 2 h]: neither the row itself nor what shares its time, but what happens at the very end."""
    rows = [
        _row("itself", 10, kind="buy"), _row("beside", 10), _row("two hours before", 8), _row("a second more", 8),
        _row("a second before", 10), _row("after", 10), END,
    ]  # fmt: skip
    rows[3]["ts"] -= 1
    rows[4]["ts"] -= 1
    rows[5]["ts"] += 1
    assert _labels(_problem(), rows) == {
        "itself": 0.0, "beside": 0.0, "two hours before": 1.0, "a second more": 0.0, "a second before": 1.0,
        "after": 0.0, "end": None,
    }  # fmt: skip


def test_the_same_user_and_item() -> None:
    buys = [_row("buy", 11, kind="buy"), _row("no item", 11, kind="buy", item=""), _row("other", 11, user="v")]
    rows = [*buys, _row("a", 10), _row("b", 10, item="b"), _row("none", 10, item=""), _row("v", 10, user="v"), END]
    labels = _labels(_problem(), rows)
    assert labels == {
        "buy": 0.0, "no item": None, "other": 0.0, "a": 1.0, "b": 0.0, "none": None, "v": 0.0, "end": None,
    }  # fmt: skip
    any_item = BinaryTask("later", label_window=LabelWindow("kind == 'buy'", 2))
    labels = _labels(_problem(any_item), rows)
    assert (labels["a"], labels["b"], labels["none"], labels["v"]) == (1.0, 1.0, 1.0, 0.0)


def test_the_column_in_common_need_not_be_a_feature() -> None:
    task = BinaryTask("later", label_window=LabelWindow("kind == 'buy'", 2, same="shop"))
    rows = [_row("near", 10, shop="1"), _row("far", 10, shop="1.0"), _row("buy", 11, kind="buy", shop="1")]
    rows.append({**END, "shop": ""})
    labels = _labels(_problem(task), rows)
    assert (labels["near"], labels["far"]) == (1.0, 0.0)  # compared as text


def test_events_need_not_be_examples() -> None:
    rows = [_row("view", 10), _row("buy", 11, kind="buy"), END]
    assert _labels(_problem(examples="kind == 'view'"), rows) == {"view": 1.0, "end": None}


def test_windows_near_the_end_of_int64() -> None:
    times = np.array([LATEST - 5, LATEST - 2, LATEST])
    ends = np.minimum(times, LATEST - 9) + 9
    assert follows_within(
        np.zeros(3, int), np.unique(times, return_inverse=True), ends, np.array([False, False, True])
    ).tolist() == [True, True, False]


# === Open windows ===


def test_an_open_window_has_no_label_even_if_the_event_came() -> None:
    rows = [_row("closed", 8), _row("open", 9), _row("buy", 9.5, kind="buy"), _row("end", 10)]
    assert _labels(_problem(), rows) == {"closed": 1.0, "open": None, "buy": None, "end": None}


def test_a_label_known_after_the_cut_only_is_missing() -> None:
    split = Split(valid_from=20 * HOUR, test_from=30 * HOUR)
    rows = [_row(f"{hour}", hour) for hour in (17, 18, 19, 20, 27, 28, 29, 30, 38, 39)]
    rows += [_row("buy", 18.5, kind="buy"), _row("end", 40)]
    rows[1]["ts"] -= 1  # so that its window ends with the last second before the cut
    rows[5]["ts"] -= 1
    labels = _labels(_problem(split=split), rows)
    assert [labels[f"{hour}"] for hour in (17, 18, 19)] == [1.0, 1.0, None]
    assert [labels[f"{hour}"] for hour in (20, 27, 28, 29)] == [0.0, 0.0, 0.0, None]
    assert [labels[f"{hour}"] for hour in (30, 38, 39)] == [0.0, 0.0, None]


def test_until_when_labels_are_known() -> None:
    by_time = _problem(split=Split(valid_from=5, test_from=8))
    nine, six = (pa.table({"time": [2, newest, 1], "count": [1, 1, 4]}) for newest in (9, 6))
    assert known_until(by_time, nine, (5, 8)) == (4, 7, 9)
    assert known_until(by_time, six, (5, 8)) == (4, 6, 6)  # no test row
    assert known_until(_problem(), nine, (0, 0)) == (9, 9, 9)
    assert known_until(_problem(), None, (0, 0)) == (0, 0, 0)


def test_the_newest_time_is_of_every_row_whatever_the_batches() -> None:
    problem = _problem(split=Split(valid=0.2, test=0.2), examples="kind == 'buy'")
    rows = [_row("a", -3), _row("b", -1), _row("c", -2, kind="buy")]
    for cuts in ([], [1], [1, 2]):
        batches = canonical(problem, rows, cuts)
        assert max(time for batch in batches for time in newest_time(batch)["time"].to_pylist()) == -HOUR
        plan = Plan(problem, "", 1)
        tables = [table for batch in batches for key, table in plan.count_times(batch) if key == ("newest",)]
        assert plan.find_cuts({("newest",): plan.merge_times(tables)}).until[2] == -HOUR
    assert newest_time(batches[0].slice(0, 0)).num_rows == 0


def test_what_the_manifest_tells(tmp_path: Path) -> None:
    split = Split(valid_from=20 * HOUR, test_from=21 * HOUR)
    rows = [_row("a", 10), _row("b", 11, kind="buy"), _row("c", 12), _row("d", 19), _row("e", 20), _row("f", 30)]
    manifest = run(tmp_path / "out", write_csv(tmp_path / "log.csv", rows), problem=_problem(split=split))
    assert manifest["splits"]["train"]["tasks"]["later"] == {"labels": 3, "mean": pytest.approx(1 / 3), "undecided": 1}
    statistics = PreparedData(tmp_path / "out").statistics
    assert statistics.label_means["later"] == pytest.approx(1 / 3)
    assert statistics.label_deviations["later"] == pytest.approx(np.std([1, 0, 0]))
    assert manifest["warnings"][1:] == [
        f"task 'later' has no label in the {split} split: 1 of 1 windows are still open at its end. Shorten the "
        "label_window, or give the split more time."
        for split in ("valid", "test")
    ]
    screen = io.StringIO()
    print_manifest(Console(file=screen, width=300), manifest)
    (line,) = [line for line in screen.getvalue().splitlines() if "later still open" in line]
    assert re.findall(r"\d+", line) == ["1", "1", "1"]


def test_no_label_at_all(tmp_path: Path) -> None:
    manifest = run(tmp_path / "out", write_csv(tmp_path / "log.csv", [_row("a", 10)]), problem=_problem())
    assert manifest["splits"]["train"]["tasks"]["later"] == {"labels": 0, "mean": None, "undecided": 1}
    statistics = PreparedData(tmp_path / "out").statistics
    assert (statistics.label_means["later"], statistics.label_deviations["later"]) == (0.0, 1.0)


# === Parents and sample spaces ===


def test_what_follows_a_row_without_the_parent_is_not_its_doing() -> None:
    cart = BinaryTask("cart", parent="click", label_window=LabelWindow("kind == 'cart'", 2, same="item"))
    buy = replace(TASK, parent="cart")
    problem = _problem(BinaryTask("click"), buy, cart, examples="kind == 'view'")
    rows = [
        _row("clicked", 10), _row("not clicked", 10, click=0), _row("unknown", 10, click=""), _row("cart", 11,
        kind="cart"), _row("buy", 11.5, kind="buy"), _row("late", 11.2), END,
    ]  # fmt: skip
    for name, task in {"cart": cart, "later": buy}.items():
        labels = _labels(problem, rows, name)
        assert (labels["clicked"], labels["not clicked"], labels["unknown"]) == (1.0, 0.0, 1.0), task
    assert labels["late"] == 0.0  # bought, but without a cart after it


def test_a_sample_space_holds_for_the_example_not_for_the_event() -> None:
    task = replace(TASK, sample_space="kind == 'view'")
    rows = [_row("view", 10), _row("cart", 10, kind="cart"), _row("buy", 11, kind="buy"), END]
    assert _labels(_problem(task), rows) == {"view": 1.0, "cart": None, "buy": None, "end": None}
    assert _joined(_problem(task), rows)[1]["train/undecided/later"] == 1


# === Any order, any number of workers ===


def test_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [
        _row(f"r{n}", hour, user=f"u{n % 5}", item=f"i{n % 3}", kind=["view", "buy"][int(generator.integers(2))])
        for n, hour in enumerate(generator.integers(0, 30, 120).tolist())
    ]
    problem = _problem(split=Split(valid=0.2, test=0.2))
    run(tmp_path / "one", write_csv(tmp_path / "log.csv", rows), problem=problem)
    half = len(rows) // 2  # the order of files, not of rows, is part of a row's identity
    files = [write_csv(tmp_path / f"{n}.csv", part) for n, part in enumerate((rows[:half], rows[half:]))]
    run(tmp_path / "two", *files, problem=problem)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
