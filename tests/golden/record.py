"""Records the golden folders with the code that is checked out; see README.md for the command and the commit."""

import csv
import inspect
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.export import ExportOptions, export
from tfmtl.models import PRESETS, from_preset
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Keys,
    LabelWindow,
    NumericFeature,
    Problem,
    RegressionTask,
    SequenceFeature,
    Split,
)
from tfmtl.training import TrainOptions, fit

ROWS, USERS, ITEMS = 140, 9, 12
SMALL = {"hidden_units": (6, 4), "tower_units": (4,), "num_experts": 2, "num_groups": 2}

PROBLEM = Problem(
    "golden",
    keys=Keys(user="user", time="time"),
    features=(
        CategoricalFeature("user", dim=4, side="user"),
        CategoricalFeature("item", dim=4, min_count=4, side="item"),
        CategoricalFeature("tags", dim=2, multi_valued=True, max_values=2, side="item"),
        CategoricalFeature("device", dim=4, hash_buckets=3),
        NumericFeature("price", transform="quantiles", buckets=3, dim=4, side="item"),
        NumericFeature("age", transform="z_score", dim=4, side="user"),
        NumericFeature("views", transform="log_z_score", dim=4, side="item"),
    ),
    sequences=(
        SequenceFeature("clicked", ("item", "price"), when="click == 1", max_length=3, time_gap_buckets=4),
        SequenceFeature("seen", ("item",), max_length=2, time_gap_buckets=0),
    ),
    tasks=(
        BinaryTask("click", known_at_event=True),
        BinaryTask("buy", parent="click", weight=2.0),
        RegressionTask("watch", label="seconds", sample_space="click == 1", weight=0.5),
        BinaryTask("returns", label_window=LabelWindow("buy == 1", 48.0, same="device")),
    ),
    split=Split(valid=0.2, test=0.2),
)


def write_log(path: Path) -> None:
    """A small log with missing values, and five rows that have to be rejected."""
    generator = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for number in range(ROWS):
        user, item = int(generator.integers(0, USERS)), int(ITEMS * generator.random() ** 2)
        appeal = np.sin(user % 4 + 2.0 * (item % 3)) + 0.3 * generator.normal()
        click = int(appeal > 0.0)
        rows.append(
            {
                "user": f"ü{user}",
                "time": 1_600_000_000 + 3 * 3600 * number + int(generator.integers(0, 3600)),
                "item": f"i{item}" if item else "",
                "tags": "|".join(f"t{item % 3 + k}" for k in range(item % 4)),
                "device": f"d{number % 5}",
                "price": "" if number % 11 == 0 else round(float(generator.exponential(10.0)), 2),
                "age": "" if number % 13 == 0 else int(generator.integers(18, 60)),
                "views": int(generator.exponential(100.0)),
                "click": click,
                "buy": int(click and appeal > 0.5),
                "seconds": "" if number % 7 == 0 else round(20.0 + 8.0 * float(appeal), 2),
            }
        )
    for number, change in enumerate(
        ({"user": ""}, {"time": "noon"}, {"click": "2"}, {"click": 0, "buy": 1}, {"price": "cheap"})
    ):
        rows.insert(20 * number + 5, {**rows[20 * number + 5], **change})
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def small_options(preset: str) -> dict[str, Any]:
    """What makes a preset tiny, of the options that it has."""
    known = inspect.signature(PRESETS[preset]).parameters
    return {name: value for name, value in SMALL.items() if name in known}


def first_rows(data: PreparedData, split: str) -> dict[str, tf.Tensor]:
    """The features of the split's first rows."""
    return next(iter(data.split(split, 16)))[0]


def pack(path: Path) -> None:
    """Writes a `.keras` file again with compression: half of it are HDF5's empty pages."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def main() -> None:
    """Writes `log.csv`, `data/`, `run/`, `export/`, `models/` and `answers.json` into the working folder."""
    from tfmtl.pipelines.preprocess.job import preprocess

    write_log(Path("log.csv"))
    preprocess(PROBLEM, ["log.csv"], "data", num_shards=2, compression="gzip")
    data = PreparedData("data")
    options = TrainOptions("shared_bottom", small_options("shared_bottom"), epochs=2, batch_size=32)
    trained = fit(data, "run", options, verbose=0)
    shutil.rmtree("run/tensorboard")
    record = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps({**record, "data": "../data"}, indent=1) + "\n")
    export(
        trained,
        data,
        "export",
        options=ExportOptions(
            tasks=("click", "watch"), scores={"value": "click * 0.3 + buy * 5"}, calibrate={"click": "platt"}
        ),
    )
    Path("export/1/assets.extra/reliability.png").unlink()
    features = first_rows(data, "test")
    answers = {"run": trained.predict(features, verbose=0)}
    Path("models").mkdir()
    for number, preset in enumerate(PRESETS):
        keras.utils.set_random_seed(number)
        model = from_preset(preset, data.inputs, **small_options(preset))
        answers[preset] = model.predict(features, verbose=0)
        model.save(f"models/{preset}.keras")
    for path in (Path("run/model.keras"), *Path("models").glob("*.keras")):
        pack(path)
    plain = {name: {task: values.tolist() for task, values in found.items()} for name, found in answers.items()}
    Path("answers.json").write_text(json.dumps(plain, indent=1) + "\n")


if __name__ == "__main__":
    main()
