"""Nothing an example holds is from its future, and its late labels are of nothing else: against slow references.

Logs with many rows at one time, out of order, over several files. The references know nothing of the package.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.odd_rows import fit as fit_statistics
from tests.support.slow_history import Row, events_before
from tests.support.slow_labels import label_within
from tests.support.small_log import records, run, values, write_csv
from tfmtl.data import PreparedData, RawTransform, TransformStatistics
from tfmtl.preprocessing.fitting.label_windows import join_labels, mark_open
from tfmtl.preprocessing.reading.canonical import canonicalize
from tfmtl.preprocessing.writing.encode import encode_bucket
from tfmtl.schema import (
    SPLITS,
    BinaryTask,
    CategoricalFeature,
    Keys,
    LabelWindow,
    Problem,
    SequenceFeature,
    Split,
)

HOUR = 3600
CUTS = (40 * HOUR, 60 * HOUR)  # of logs that last 80 hours
PROBLEM = Problem(
    "in_time",
    keys=Keys("user", "ts", group="row"),
    features=(CategoricalFeature("item", min_count=2), CategoricalFeature("kind")),
    sequences=(
        SequenceFeature("seen", ("item", "kind"), max_length=5, time_gap_buckets=0),
        SequenceFeature("bought", ("item",), when="kind == 'buy'", max_length=3, time_gap_buckets=0),
    ),
    tasks=(
        BinaryTask("click"),
        BinaryTask("buy_soon", label_window=LabelWindow("kind == 'buy'", 6, same="item")),
        BinaryTask("spend", parent="click", label_window=LabelWindow("price >= 5", 12.5, same="shop")),
        BinaryTask("back", sample_space="kind != 'buy'", label_window=LabelWindow("kind == 'view'", 2)),
    ),
    split=Split(valid_from=CUTS[0], test_from=CUTS[1]),
    examples="shown == 1",
)
WINDOWS: dict[str, tuple[Any, int, str | None]] = {
    "buy_soon": (lambda row: row["kind"] == "buy", 6 * HOUR, "item"),
    "spend": (lambda row: row["price"] is not None and row["price"] >= 5, 12 * HOUR + HOUR // 2, "shop"),
    "back": (lambda row: row["kind"] == "view", 2 * HOUR, None),
}
"""The tasks' windows written by hand: event, length, column in common."""


def _log(num_rows: int, seed: int, users: int = 4, hours: int = 80) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    return [
        {
            "row": f"r{index}",
            "user": f"u{generator.integers(0, users)}",
            "ts": HOUR * int(generator.integers(0, hours + 1)) // 2 * 2,
            "item": f"i{item}" if (item := int(generator.integers(0, 5))) else None,
            "shop": f"s{shop}" if (shop := int(generator.integers(0, 3))) else "",
            "kind": str(generator.choice(["view", "view", "cart", "buy"])),
            "price": float(generator.integers(0, 9)) if generator.random() < 0.9 else None,
            "click": int(generator.random() < 0.5),
            "shown": int(generator.random() < 0.8),
        }
        for index in range(num_rows)
    ]


def _label(rows: Sequence[Row], index: int, task: str, known_until: int) -> float | None:
    is_event, length, same = WINDOWS[task]
    if task == "back" and rows[index]["kind"] == "buy":
        return None
    label = label_within(rows, index, is_event, length, known_until, same)
    return 0.0 if task == "spend" and label == 1.0 and rows[index]["click"] == 0 else label


def _check(example: dict[str, list[Any]], rows: Sequence[Row], index: int, known: Sequence[str], until: int) -> None:
    """Compares what a record holds of items and late labels with the references."""

    def ids(events: Sequence[int]) -> list[int]:
        items = [rows[event]["item"] for event in events]
        return [known.index(item) + 2 if item in known else 1 for item in items]

    seen = events_before(rows, index, lambda row: row["item"] is not None)[-5:]
    bought = events_before(rows, index, lambda row: row["item"] is not None and row["kind"] == "buy")[-3:]
    assert (example["seen__item"], example["bought__item"]) == (ids(seen), ids(bought)), rows[index]
    for task in WINDOWS:
        label = _label(rows, index, task, until)
        assert example.get(f"label:{task}", []) == ([] if label is None else [label]), (task, rows[index])


def _split_of(row: Row, split: Split) -> str:
    if split.by == "column":
        return str(row["part"])
    return SPLITS[(row["ts"] >= CUTS[0]) + (row["ts"] >= CUTS[1])]


@pytest.mark.parametrize(("seed", "by"), [(0, "time"), (1, "time"), (2, "column")])
def test_a_log_against_the_definitions(tmp_path: Path, seed: int, by: str) -> None:
    """What the job writes: histories, late labels, and statistics of the training split alone."""
    rows = _log(350, seed)
    generator = np.random.default_rng(seed)
    rows = [{**row, "part": str(generator.choice(SPLITS))} for row in rows]
    pieces = np.sort(generator.integers(1, len(rows), 3)).tolist()
    files = [
        write_csv(tmp_path / f"log-{n}.csv{'.gz' if n % 2 else ''}", rows[start:stop])
        for n, (start, stop) in enumerate(zip([0, *pieces], [*pieces, len(rows)], strict=True))
        if start < stop
    ]
    split = PROBLEM.split if by == "time" else Split(by="column", column="part")
    problem = Problem(**{**vars(PROBLEM), "split": split})
    manifest = run(tmp_path / "out", *files, problem=problem)
    newest = max(row["ts"] for row in rows)
    ends = (CUTS[0] - 1, CUTS[1] - 1, newest) if by == "time" else (newest,) * 3
    until = dict(zip(SPLITS, ends, strict=True))
    training = [row for row in rows if _split_of(row, split) == "train"]
    counted = Counter(row["item"] for row in training if row["item"])
    known = sorted((item for item, n in counted.items() if n > 1), key=lambda item: (-counted[item], item))
    statistics = PreparedData(tmp_path / "out").statistics
    assert list(statistics.vocabularies["item"]) == known
    index_of = {row["row"]: index for index, row in enumerate(rows)}
    for name in SPLITS:
        examples = {e["key:group"][0].decode(): e for e in map(values, records(tmp_path / "out", name))}
        shown = [index for index, row in enumerate(rows) if row["shown"] and _split_of(row, split) == name]
        assert {index_of[row] for row in examples} == set(shown)
        for index in shown:
            _check(examples[rows[index]["row"]], rows, index, known, until[name])
        for task, (_, length, same) in WINDOWS.items():
            labels = [label for index in shown if (label := _label(rows, index, task, until[name])) is not None]
            still = [
                rows[index]
                for index in shown
                if rows[index]["ts"] + length > until[name]
                and (same is None or rows[index][same])
                and (task != "back" or rows[index]["kind"] != "buy")
            ]
            facts = manifest["splits"][name]["tasks"][task]
            assert (facts["labels"], facts["undecided"]) == (len(labels), len(still))
            assert facts["mean"] == pytest.approx(np.mean(labels), rel=1e-12)
            assert 0.0 < facts["mean"] < 1.0  # else this log tells nothing
            if name == "train":
                assert statistics.label_means[task] == pytest.approx(np.mean(labels), rel=1e-12)
                assert statistics.label_deviations[task] == pytest.approx(np.std(labels), rel=1e-12)
    assert manifest["warnings"][1:] == []  # the first one is of times that lie in 1970


def test_a_user_of_a_hundred_thousand_events(tmp_path: Path) -> None:
    rows = _log(100_000, seed=5, users=1, hours=20_000)
    problem = Problem(**{**vars(PROBLEM), "split": Split(by="column", column="shown_as"), "examples": None})
    raw = pa.RecordBatch.from_pylist([{**row, "shown_as": "train"} for row in rows])
    batch, rejected = canonicalize(problem, raw, 0, np.arange(raw.num_rows))
    assert not rejected
    fit_statistics(problem, [batch]).save(tmp_path)
    until = 19_000 * HOUR
    table, undecided = join_labels(problem, pa.Table.from_batches([mark_open(problem, batch, (until,) * 3)]))
    encoded = encode_bucket(problem, RawTransform(problem, tmp_path), table, (0, 0))
    assert undecided["train/undecided/back"] == sum(
        row["ts"] + 2 * HOUR > until and row["kind"] != "buy" for row in rows
    )
    known = TransformStatistics.load(tmp_path).vocabularies["item"]
    assert encoded.counts["train/examples"] == len(rows)
    for example in map(values, next(encoded.records("train"))[:40].to_pylist()):
        _check(example, rows, int(example["key:group"][0][1:]), known, until)
