"""A small log of clicks in every format that the job reads, and the job run on it."""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import tensorflow as tf

from tests.support.slow_history import Row
from tfmtl.data.example_spec import packed_tensors
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Keys,
    NumericFeature,
    Problem,
    RegressionTask,
    SequenceFeature,
    Split,
)

SMALL_PROBLEM = Problem(
    "small",
    keys=Keys("user", "ts", group="row"),
    features=(
        CategoricalFeature("user"),
        CategoricalFeature("item", min_count=2),
        CategoricalFeature("tags", multi_valued=True, max_values=2),
        NumericFeature("age", buckets=5),
        NumericFeature("price", "z_score"),
    ),
    sequences=(
        SequenceFeature("seen", ("item", "age"), max_length=4, time_gap_buckets=8),
        SequenceFeature("bought", ("item",), when="buy == 1", max_length=3, time_gap_buckets=0),
    ),
    tasks=(
        BinaryTask("click"),
        BinaryTask("buy", parent="click", known_at_event=True),
        RegressionTask("watch", label="seconds", sample_space="click == 1"),
    ),
    split=Split(by="time", valid=0.2, test=0.2),
    examples="shown == 1",
)


def small_log(num_rows: int = 300, ties: bool = False, seed: int = 0) -> list[dict[str, Any]]:
    """Rows out of order, with missing values; `ties` lets rows of a user share a time."""
    generator = np.random.default_rng(seed)
    times = generator.integers(0, 40, num_rows) if ties else generator.permutation(num_rows)
    rows = []
    for index, time in enumerate(times.tolist()):
        click = int(generator.random() < 0.5)
        item = int(generator.integers(0, 40))
        row = {
            "row": f"r{index}",
            "user": f"ü{generator.integers(0, 9)}",
            "ts": 1_600_000_000 + 997 * time,
            "item": f"i{item}" if item else None,
            "tags": [f"t{tag}" for tag in generator.integers(0, 5, generator.integers(0, 4)).tolist()],
            "age": int(generator.integers(18, 60)) if generator.random() < 0.9 else None,
            "price": round(float(generator.normal()), 3),
            "shown": int(generator.random() < 0.8),
            "click": click,
            "buy": int(click and generator.random() < 0.5),
            "seconds": round(float(generator.exponential(9.0)), 2) if generator.random() < 0.8 else None,
        }
        rows.append(row)
    return rows


# === Files ===


def write_csv(path: Path, rows: Sequence[Row], **options: Any) -> Path:
    """CSV, or TSV by the file's name, packed if it ends with `.gz` or `.zst`; `options` go to `csv.writer`."""
    text = io.StringIO()
    delimiter = "\t" if ".tsv" in path.name else ","
    writer = csv.writer(text, delimiter=delimiter, **{"lineterminator": "\n", **options})
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(["|".join(value) if isinstance(value, list) else value for value in row.values()])
    content = text.getvalue().encode()
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = pa.compress(content, codec="zstd", asbytes=True)
    path.write_bytes(content)
    return path


def write_parquet(path: Path, rows: Sequence[Row], **options: Any) -> Path:
    """Parquet with the types that a data frame would have; `options` go to `write_table`."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    arrays = {
        **{name: pa.array(values) for name, values in columns.items()},
        "ts": pa.array([value * 1000 for value in columns["ts"]], pa.timestamp("ms", "UTC")),
        "item": pa.array(columns["item"], pa.string()).dictionary_encode(),
        "tags": pa.array(columns["tags"], pa.list_(pa.string())),
        "age": pa.array(columns["age"], pa.int16()),
        "shown": pa.array([value == 1 for value in columns["shown"]]),
        "click": pa.array([value == 1 for value in columns["click"]]),
        "buy": pa.array(columns["buy"], pa.uint8()),
        "unused": pa.array([{"a": index} for index in range(len(rows))]),
    }
    parquet.write_table(pa.table(arrays), path, **options)
    return path


# === Runs ===


def run(output: Path, *inputs: Path, problem: Problem = SMALL_PROBLEM, **options: Any) -> dict[str, Any]:
    """The job in memory, on three shards."""
    return preprocess(problem, [str(path) for path in inputs], str(output), **{"num_shards": 3, **options})


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` but the manifest, which names the inputs."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in files.items() if name != "manifest.json"}


def records(folder: Path, split: str) -> list[bytes]:
    """The serialized examples of a split, in the order of the files."""
    return [
        record
        for path in sorted((folder / split).iterdir())
        for record in tf.data.TFRecordDataset(str(path), "GZIP" if path.suffix == ".gz" else "").as_numpy_iterator()
    ]


def values(record: bytes, problem: Problem | None = None) -> dict[str, list[Any]]:
    """What a serialized example holds; of a problem the derived numbers one by one."""
    features = tf.train.Example.FromString(record).features.feature
    found = {name: list(getattr(feature, feature.WhichOneof("kind")).value) for name, feature in features.items()}
    for name, keys in ({} if problem is None else packed_tensors(problem)).items():
        found |= {key: [value] for key, value in zip(keys, found.pop(name), strict=True)}
    return found
