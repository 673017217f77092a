"""Another day's log with the transformation of the day before: ids do not move, new values go behind."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from tests.support.small_log import SMALL_PROBLEM, contents, records, run, small_log, values, write_csv
from tfmtl.data import PreparedData
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features.feature_behavior import TABLE
from tfmtl.pipelines.cli.screen import print_manifest
from tfmtl.preprocessing.fitting.reused_statistics import extend_statistics
from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, Problem, Split

KEYS = Keys("user", "ts")
ALL = replace(SMALL_PROBLEM, split=Split(valid=0.0, test=0.0))


def _day(number: int) -> list[dict[str, Any]]:
    """A log; from the second day on a third of the items are new, with counts of their own."""
    rows = small_log(300, ties=True, seed=number)
    for row in rows:
        row["ts"] += 10_000_000 * number
        if number and row["item"] and int(row["item"][1:]) % 3 == 0:
            row["item"] = f"day {number}, i{int(row['item'][1:]) % 7}"
    return rows


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first day, all of it for training."""
    folder = tmp_path_factory.mktemp("first")
    run(folder / "data", write_csv(folder / "log.csv", _day(0)), problem=ALL)
    return folder / "data"


def _next(folder: Path, first: Path, number: int = 1, problem: Problem = ALL, **options: Any) -> dict[str, Any]:
    log = write_csv(folder / "log.csv", _day(number))
    return run(folder / "data", log, problem=problem, transform_from=str(first), **options)


def _items(rows: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(row["item"] for row in rows if row["item"])


def test_nothing_is_fitted(tmp_path: Path, first: Path) -> None:
    manifest = _next(tmp_path, first)
    taken, mine = (contents(folder / "transform") for folder in (first, tmp_path / "data"))
    assert mine == taken
    before, after = PreparedData(first), PreparedData(tmp_path / "data")
    assert after.inputs == before.inputs  # a model of the first day reads the second
    assert manifest["transform_from"] == {
        "folder": str(first), "digest": before.statistics.digest, "added_values": {"user": 0, "item": 0, "tags": 0},
    }  # fmt: skip
    known = before.statistics.vocabularies["item"]
    shown = [row for row in _day(1) if row["shown"]]
    unknown = [row for row in shown if row["item"] and row["item"] not in known]
    assert manifest["splits"]["train"]["features"]["item"]["out_of_vocabulary"] == len(unknown) / len(shown) > 0.2
    screen = io.StringIO()
    print_manifest(Console(file=screen, width=300), manifest)
    assert f"transformation of {first}; values added: none\n" in screen.getvalue()


def test_new_values_go_behind_the_known_ones(tmp_path: Path, first: Path) -> None:
    manifest = _next(tmp_path, first, extend_vocabularies=True)
    before, after = PreparedData(first).statistics, PreparedData(tmp_path / "data").statistics
    known, counted = before.vocabularies["item"], _items(_day(1))
    new = [item for item, count in counted.items() if item not in known and count >= 2]  # the feature's min_count
    new.sort(key=lambda item: (-counted[item], item))
    assert len(new) > 3
    assert after.vocabularies["item"] == (*known, *new)
    assert after.vocabulary_counts["item"][len(known) :] == tuple(counted[item] for item in new)
    assert after.vocabularies["user"] == before.vocabularies["user"]
    assert manifest["transform_from"]["added_values"] == {"user": 0, "item": len(new), "tags": 0}
    for fact in ("boundaries", "means", "deviations", "label_means", "label_deviations"):
        assert getattr(after, fact) == getattr(before, fact)
    vocabulary = after.vocabularies["item"]
    item_of = {row["row"].encode(): row["item"] for row in _day(1)}
    for example in map(values, records(tmp_path / "data", "train")):
        item = item_of[example["key:group"][0]]
        expected = 0 if not item else vocabulary.index(item) + 2 if item in vocabulary else 1
        assert example["item"] == [expected]


def test_day_after_day(tmp_path: Path, first: Path) -> None:
    """Every day's ids hold for good, and its statistics say whose they extend."""
    days = [PreparedData(first)]
    for number in (1, 2, 2):
        folder = tmp_path / str(len(days))
        folder.mkdir()
        _next(folder, days[-1].directory, number, extend_vocabularies=True)
        days.append(PreparedData(folder / "data"))
    digests = [day.statistics.digest for day in days]
    assert digests[2] == digests[3]  # the same log again adds nothing
    assert [day.statistics.extends for day in days] == [(), (digests[0],), tuple(digests[:2]), tuple(digests[:2])]
    for before, after in pairwise(days):
        for table, known in before.statistics.vocabularies.items():
            assert after.statistics.vocabularies[table][: len(known)] == known
        after.check_extends("test", before.inputs)
    days[3].check_extends("test", days[0].inputs)
    with pytest.raises(ValueError, match="differs in vocabularies or statistics that were fitted anew"):
        days[1].check_extends("test", days[2].inputs)


@pytest.mark.parametrize(("max_size", "added"), [(None, "dab"), (45, "dab"), (43, "da"), (41, ""), (10, "")])
def test_max_size_is_of_the_whole_vocabulary(max_size: int | None, added: str) -> None:
    """Known values stay even if there are more of them than the new `max_size`; their new counts play no part."""
    known = tuple(f"known {n}" for n in range(41))
    problem = Problem("one", (CategoricalFeature("item", min_count=2, max_size=max_size),), (BinaryTask("y"),), KEYS)
    before = TransformStatistics({"item": known}, {"item": (1,) * 41}, {}, {}, {}, {}, {})
    counts = pa.table({"value": ["b", "a", "rare", "d", "line\nbreak", *known], "count": [2, 2, 1, 3, 9, *[7] * 41]})
    after = extend_statistics(problem, before, {(TABLE, "item"): counts})
    assert after.vocabularies == {"item": (*known, *added)}
    assert after.vocabulary_counts == {"item": ((1,) * 41 + (3, 2, 2))[: 41 + len(added)]}
    assert after.extends == ((before.digest,) if added else ())
    assert extend_statistics(problem, before, {}) == before  # no training row at all


def test_only_training_rows_add_values(tmp_path: Path, first: Path) -> None:
    _next(tmp_path, first, problem=replace(SMALL_PROBLEM, split=Split(valid=0.3, test=0.3)), extend_vocabularies=True)
    data = PreparedData(tmp_path / "data")
    rows = sorted(_day(1), key=lambda row: row["ts"])
    training = {values(record)["key:group"][0] for record in records(tmp_path / "data", "train")}
    last = max(row["ts"] for row in rows if row["row"].encode() in training)
    counted = _items([row for row in rows if row["ts"] <= last])
    known = PreparedData(first).statistics.vocabularies["item"]
    added = data.statistics.vocabularies["item"][len(known) :]
    assert set(added) == {item for item, count in counted.items() if count >= 2 and item not in known}


# === Mistakes ===


def test_another_problem(tmp_path: Path, first: Path) -> None:
    features = (*ALL.features[:3], replace(ALL.features[3], buckets=6), ALL.features[4])
    sequences = (replace(ALL.sequences[0], max_length=9), ALL.sequences[1])
    text = (
        r"preprocess: `transform_from` must have been written for the same problem, but for `split` and `examples`\. "
        rf"Received: transform_from='{first}', which differs in features \(age\), sequences \(seen\)\. Use its"
    )
    with pytest.raises(ValueError, match=text):
        _next(tmp_path, first, problem=replace(ALL, features=features, sequences=sequences))
    with pytest.raises(ValueError, match=r"differs in tasks \(their order\)"):
        _next(tmp_path, first, problem=replace(ALL, tasks=ALL.tasks[::-1]))
    assert not (tmp_path / "data").exists()


def test_other_rows_may_be_examples(tmp_path: Path, first: Path) -> None:
    manifest = _next(tmp_path, first, problem=replace(ALL, examples="click == 1"))
    assert manifest["rows_written"] == sum(row["click"] for row in _day(1))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`transform_from` must be the output of `tfmtl preprocess`\. Received: tr"):
        _next(tmp_path, tmp_path / "nowhere")


def test_nothing_to_extend(tmp_path: Path) -> None:
    log = write_csv(tmp_path / "log.csv", _day(0))
    with pytest.raises(ValueError, match="preprocess: `extend_vocabularies` goes with `transform_from` only"):
        run(tmp_path / "data", log, extend_vocabularies=True)
