"""A generated log of clicks and its problem: what all sides of the preprocessing benchmarks read."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

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

ROWS_A_USER = 50
ROWS_PER_FILE = 250_000
VALUES = {
    "item": 200_000, "ad": 100_000, "author": 50_000, "city": 5_000, "topic": 1_000, "category": 300, "device": 60,
    "hour": 24, "country": 12,
}  # fmt: skip
BUCKETS = {"age": 10, "price": 20, "position": 10}
SCALED = {"duration": "log_z_score", "quality": "z_score", "distance": "z_score"}
SEQUENCES = {"seen": None, "clicked": "click == 1"}
MAX_LENGTH = 50

PROBLEM = Problem(
    "click_log",
    keys=Keys("user", "ts"),
    features=(
        CategoricalFeature("user"),
        *(CategoricalFeature(name, min_count=2) for name in VALUES),
        *(NumericFeature(name, buckets=buckets) for name, buckets in BUCKETS.items()),
        *(NumericFeature(name, transform) for name, transform in SCALED.items()),
    ),
    sequences=tuple(
        SequenceFeature(name, ("item", "category"), when=when, max_length=MAX_LENGTH)
        for name, when in SEQUENCES.items()
    ),
    tasks=(
        BinaryTask("click", known_at_event=True),
        BinaryTask("buy", parent="click"),
        RegressionTask("watch"),
    ),
    split=Split(by="time", valid=0.1, test=0.1),
)


def write_log(folder: Path, num_rows: int, seed: int = 0) -> list[Path]:
    """Parquet files of `ROWS_PER_FILE` rows each in `folder`, made once; rows lie in order of time."""
    files = [folder / f"part-{index:05d}.parquet" for index in range(-(-num_rows // ROWS_PER_FILE))]
    if not files[-1].is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for index, file in enumerate(files):
            rows = min(ROWS_PER_FILE, num_rows - index * ROWS_PER_FILE)
            table = _rows(np.random.default_rng([seed, index]), rows, num_rows // ROWS_A_USER, index)
            parquet.write_table(table, file.with_suffix(".part"), row_group_size=65_536)
            file.with_suffix(".part").rename(file)
    return files


def _rows(generator: np.random.Generator, rows: int, num_users: int, file: int) -> pa.Table:
    click = generator.random(rows) < 0.4
    numbers = {
        "age": generator.integers(14, 90, rows).astype(np.float64),
        "price": generator.lognormal(3.0, 1.0, rows).round(2),
        "position": generator.geometric(0.1, rows).astype(np.float64),
        "duration": generator.exponential(60.0, rows).round(3),
        "quality": generator.normal(0.5, 0.2, rows),
        "distance": generator.normal(0.0, 1000.0, rows),
    }
    columns: dict[str, pa.Array] = {
        "user": _texts("u", generator.integers(0, num_users, rows)),
        "ts": pa.array(1_700_000_000 + file * ROWS_PER_FILE * 3 + np.sort(generator.integers(0, rows * 3, rows))),
        **{name: _texts(name[0], _skewed(generator, size, rows)) for name, size in VALUES.items()},
        **{name: pa.array(values, mask=generator.random(rows) < 0.02) for name, values in numbers.items()},
        "click": pa.array(click.astype(np.int8)),
        "buy": pa.array((click & (generator.random(rows) < 0.1)).astype(np.int8)),
        "watch": pa.array(generator.exponential(30.0, rows), mask=~click),
    }
    return pa.table(columns)


def _skewed(generator: np.random.Generator, size: int, rows: int) -> np.ndarray:
    """Numbers below `size` of which the small ones are frequent, as those of items are."""
    return (size * generator.random(rows) ** 3).astype(np.int64)


def _texts(letter: str, numbers: np.ndarray) -> pa.Array:
    return pa.array(np.char.add(letter, numbers.astype("U8")).astype(object), pa.string())
