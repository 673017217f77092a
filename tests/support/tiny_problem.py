"""A small problem that has one of everything, a seeded log for it, and small models."""

import inspect
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfmtl.data import PreparedData
from tfmtl.models import PRESETS, MultiTaskModel, from_preset
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Keys,
    ModelInputs,
    NumericFeature,
    Problem,
    RegressionTask,
    SequenceFeature,
    Split,
)

ROWS, USERS, ITEMS = 600, 24, 30


def tiny_problem(**changes: Any) -> Problem:
    """Two widths, a shared table, hashing, lists, buckets, scaled numbers, three sequences, three tasks."""
    parts: dict[str, Any] = {
        "name": "tiny",
        "keys": Keys(user="user", time="time"),
        "features": (
            CategoricalFeature("user", dim=8, side="user"),
            CategoricalFeature("item", dim=8, min_count=4, side="item"),
            CategoricalFeature("previous_item", dim=8, table="item", min_count=4),
            CategoricalFeature("topic", dim=4, side="item"),
            CategoricalFeature("tags", dim=4, multi_valued=True, max_values=3, side="item"),
            CategoricalFeature("device", dim=8, hash_buckets=5),
            NumericFeature("price", transform="quantiles", buckets=4, dim=4, side="item"),
            NumericFeature("age", transform="z_score", side="user", dim=8),
            NumericFeature("views", transform="log_z_score", side="item", dim=8),
        ),
        "sequences": (
            SequenceFeature("clicked", ("item", "topic"), when="click == 1", max_length=5, time_gap_buckets=8),
            SequenceFeature("seen", ("topic", "price"), max_length=3, time_gap_buckets=4),
            SequenceFeature("bought", ("item",), when="buy == 1", max_length=4, time_gap_buckets=0),
        ),
        "tasks": (
            BinaryTask("click", known_at_event=True),
            BinaryTask("buy", parent="click", weight=2.0, known_at_event=True),
            RegressionTask("watch", label="seconds", sample_space="click == 1", weight=0.5),
        ),
        "split": Split(valid=0.2, test=0.2),
    }
    return Problem(**{**parts, **changes})


def keyless_problem() -> Problem:
    """A table without users and times: no sequences, no groups, and here no validation split."""
    return tiny_problem(
        name="keyless", keys=Keys(), sequences=(), split=Split(by="column", column="part"), tasks=(BinaryTask("click"),)
    )


def plain_problem() -> Problem:
    """Two features and two tasks of the same log, for tests of what is done with a model, not of what it computes."""
    return tiny_problem(
        name="plain",
        features=(CategoricalFeature("item", dim=8), NumericFeature("age", transform="z_score", dim=8)),
        sequences=(),
        tasks=(tiny_problem().task("click"), tiny_problem().task("watch")),
    )


def small_problem() -> Problem:
    """One of everything that a training step treats in its own way, for tests of steps and runs.

    Two widths, a table that a feature and a sequence read, several values, a number, a sequence, all three tasks. How
    values become ids and numbers is left out.
    """
    features = ("user", "topic", "tags", "age")
    return tiny_problem(
        name="small",
        features=tuple(feature for feature in tiny_problem().features if feature.name in features),
        sequences=(SequenceFeature("clicked", ("topic",), when="click == 1", max_length=5, time_gap_buckets=8),),
    )


def tiny_log(seed: int = 0) -> pa.Table:
    """A log whose labels can be learnt, with missing features and labels."""
    generator = np.random.default_rng(seed)
    users = generator.integers(0, USERS, ROWS)
    items = (ITEMS * generator.random(ROWS) ** 2).astype(int)  # a few items are rare: out of vocabulary
    appeal = np.sin(users % 4 + 2.0 * (items % 3)) + 0.3 * generator.normal(size=ROWS)
    click = (appeal > 0.0).astype(np.float64)
    buy = click * (appeal > 0.5)
    seconds = 20.0 + 8.0 * appeal + generator.normal(size=ROWS)
    tags = ["|".join(f"tag{item % 3 + k}" for k in range(item % 5)) for item in items]
    columns = {
        "user": [f"u{user}" for user in users],
        "item": [f"i{item}" for item in items],
        "previous_item": [f"i{item}" for item in np.roll(items, 1)],
        "topic": [f"t{item % 3}" for item in items],
        "tags": tags,
        "device": [f"d{device}" for device in generator.integers(0, 9, ROWS)],
        "price": items * 1.5,
        "age": 20.0 + users,
        "views": 3.0 ** generator.integers(0, 8, ROWS),
        "time": 1_000 + np.cumsum(generator.integers(1, 9, ROWS)),
        "click": click,
        "buy": buy,
        "seconds": seconds,
        "part": np.where(generator.random(ROWS) < 0.6, "train", "test"),
    }
    gaps = {"topic": 0.1, "price": 0.1, "age": 0.1, "device": 0.1, "click": 0.05, "buy": 0.3, "seconds": 0.1}
    missing = {name: generator.random(ROWS) < rate for name, rate in gaps.items()}
    return pa.table({name: pa.array(values, mask=missing.get(name)) for name, values in columns.items()})


def next_day(seed: int = 1) -> pa.Table:
    """A later log: half of the users, a third of the items and all topics and tags of `t1` are new."""
    log = tiny_log(seed).to_pydict()
    log["user"] = [f"new {user}" if int(user[1:]) % 2 else user for user in log["user"]]
    for name in ("item", "previous_item"):
        log[name] = [f"new {item}" if int(item[1:]) % 3 == 1 else item for item in log[name]]
    log["topic"] = ["new t1" if topic == "t1" else topic for topic in log["topic"]]
    log["tags"] = [tags.replace("tag1", "new tag") for tags in log["tags"]]
    return pa.table({**log, "time": np.asarray(log["time"]) + 1_000_000})


def prepare(
    folder: Path, problem: Problem | None = None, seed: int = 0, log: pa.Table | None = None, **options: Any
) -> PreparedData:
    """The preprocessed log of the problem, below `folder`; `options` go to `preprocess`."""
    from tfmtl.pipelines.preprocess.job import preprocess  # Beam takes seconds to import

    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(tiny_log(seed) if log is None else log, folder / "log.parquet")
    preprocess(problem or tiny_problem(), [str(folder / "log.parquet")], str(folder / "data"), num_shards=2, **options)
    return PreparedData(folder / "data")


def tiny_inputs(problem: Problem | None = None) -> ModelInputs:
    """Table sizes and label facts made up, for tests that need no data."""
    problem = problem or tiny_problem()
    rows = {table: 7 + 2 * index for index, table in enumerate(problem.tables)}
    binary = {task.name: task.kind == "binary" for task in problem.tasks}
    means = {name: 0.3 if is_binary else 20.0 for name, is_binary in binary.items()}
    deviations = {name: 0.5 if is_binary else 4.0 for name, is_binary in binary.items()}
    return ModelInputs(problem, rows, means, deviations)


def tiny_model(inputs: ModelInputs, preset: str = "mmoe", **options: Any) -> MultiTaskModel:
    """A preset with small layers."""
    small = {"hidden_units": (16, 8), "tower_units": (8,)}
    known = inspect.signature(PRESETS[preset]).parameters
    return from_preset(preset, inputs, **{name: value for name, value in small.items() if name in known} | options)


_whole_splits: WeakKeyDictionary[PreparedData, dict[str, tuple[dict[str, Any], dict[str, Any]]]] = WeakKeyDictionary()


def whole_split(data: PreparedData, split: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """All features and labels of a split as one batch; read once, since a pipeline for it takes a tenth of a second."""
    read = _whole_splits.setdefault(data, {})
    if split not in read:
        features, labels, _ = next(iter(data.split(split, ROWS)))
        read[split] = features, labels
    features, labels = read[split]
    return dict(features), dict(labels)
