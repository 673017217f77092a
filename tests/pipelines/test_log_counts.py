"""Conditions that never hold and times in another unit are warned of, and nothing else is."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support.small_log import SMALL_PROBLEM, run, small_log, write_csv, write_parquet
from tfmtl.pipelines.cli.screen import print_manifest
from tfmtl.schema import Keys, Problem, SequenceFeature, Split

ROWS = small_log(80)


def _manifest(folder: Path, problem: Problem = SMALL_PROBLEM, **change: Any) -> dict[str, Any]:
    log = write_csv(folder / "log.csv", [{**row, **change} for row in ROWS])
    return run(folder / "out", log, problem=problem)


def test_events_are_counted_and_nothing_is_warned_of(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    assert manifest["events"] == {
        "seen": sum(row["item"] is not None for row in ROWS),
        "bought": sum(row["item"] is not None and row["buy"] == 1 for row in ROWS),
    }
    assert manifest["warnings"] == []


def test_a_condition_that_never_holds(tmp_path: Path) -> None:
    sequences = (SMALL_PROBLEM.sequences[0], SequenceFeature("bought", ("item",), when="buy == 'yes'"))
    manifest = _manifest(tmp_path, replace(SMALL_PROBLEM, sequences=sequences))
    assert manifest["events"]["bought"] == 0
    assert manifest["warnings"] == [
        "sequence 'bought' has no event: no row satisfies \"buy == 'yes'\", or column 'item' is missing in every row "
        "that does."
    ]


def test_an_event_column_that_is_always_missing(tmp_path: Path) -> None:
    warnings = _manifest(tmp_path, item="")["warnings"]
    assert warnings[0] == "sequence 'seen' has no event: column 'item' is missing in every row."


def test_a_task_without_labels(tmp_path: Path) -> None:
    watch = replace(SMALL_PROBLEM.task("watch"), sample_space="click == 2")
    warnings = _manifest(tmp_path, replace(SMALL_PROBLEM, tasks=(*SMALL_PROBLEM.tasks[:2], watch)))["warnings"]
    assert warnings == [
        "task 'watch' has no label in the training split: check column 'seconds' and its sample_space \"click == 2\"."
    ]


def _times(factor: float, unit: str) -> tuple[list[dict[str, Any]], Problem]:
    rows = [{**row, "ts": int(row["ts"] * factor)} for row in ROWS]
    keys = Keys("user", "ts", group="row", time_unit=unit)
    return rows, replace(SMALL_PROBLEM, keys=keys, split=Split(valid=0.0, test=0.0))


@pytest.mark.parametrize(
    ("factor", "unit", "advice"),
    [
        (1, "s", None),
        (1_000, "ms", None),
        (1_000, "s", "when read as s, the time_unit. As ms they lie inside: set `time_unit: ms`."),
        (1, "ms", "when read as ms, the time_unit. As s they lie inside: set `time_unit: s`."),
        (1_000_000, "ms", "As us they lie inside: set `time_unit: us`."),
        (1_000_000_000, "s", "As ns they lie inside: set `time_unit: ns`."),
        (1 / 86_400, "s", "As d they lie inside: set `time_unit: d`."),
        (1 / 864_000, "s", "Time gaps and the split are right only if one step of this column is one such unit."),
    ],
)
def test_units_of_time(tmp_path: Path, factor: float, unit: str, advice: str | None) -> None:
    rows, problem = _times(factor, unit)
    warnings = run(tmp_path / "out", write_csv(tmp_path / "log.csv", rows), problem=problem)["warnings"]
    assert len(warnings) == (advice is not None)
    if advice is not None:
        assert warnings[0].startswith("most times in column 'ts' lie outside 1980 to 2100 when read as ")
        assert warnings[0].endswith(advice)


def test_a_few_odd_times_are_no_unit(tmp_path: Path) -> None:
    rows = [{**row, "ts": 0} if index < 30 else row for index, row in enumerate(ROWS)]
    assert run(tmp_path / "out", write_csv(tmp_path / "log.csv", rows))["warnings"] == []


def test_timestamps_bring_their_unit(tmp_path: Path) -> None:
    _, problem = _times(1, "ms")
    assert run(tmp_path / "out", write_parquet(tmp_path / "log.parquet", ROWS), problem=problem)["warnings"] == []


def test_files_add_up(tmp_path: Path) -> None:
    for index, part in enumerate((ROWS[:20], ROWS[20:])):
        write_csv(tmp_path / f"{index}.csv", part)
    assert run(tmp_path / "out", tmp_path)["events"] == _manifest(tmp_path)["events"]


def test_warnings_come_last_on_the_screen_and_once(tmp_path: Path) -> None:
    sequences = (SMALL_PROBLEM.sequences[0], SequenceFeature("bought", ("item",), when="buy == '[no]'"))
    manifest = _manifest(tmp_path, replace(SMALL_PROBLEM, sequences=sequences))
    screen = io.StringIO()
    print_manifest(Console(file=screen, width=300), manifest)
    lines = screen.getvalue().splitlines()
    assert f"events of the sequences: {manifest['events']['seen']} seen, 0 bought" in lines
    assert lines[-1].startswith("warning: sequence 'bought' has no event: no row satisfies \"buy == '[no]'\"")
    assert screen.getvalue().count("warning:") == 1
