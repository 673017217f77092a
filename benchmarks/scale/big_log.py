"""A generated log of any length: users, items, three sequences; written file by file, never whole in memory."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, NumericFeature, Problem, SequenceFeature, Split
from tfmtl.schema.problem_file import PROBLEM_FILE

ROWS_PER_FILE = 250_000
ROWS_A_USER = 10
"""Of the log in the mean: 10,000,000 rows have 1,000,000 users, and 2,000,000 items."""

_DAYS = 30
_START = 1_700_000_000
_SMALL = {"author": 50_000, "city": 5_000, "category": 1_000, "hour": 24}

PROBLEM = Problem(
    "big_log",
    keys=Keys("user", "ts"),
    features=(
        CategoricalFeature("user", dim=16),
        CategoricalFeature("item", dim=16, side="item"),
        CategoricalFeature("ad", dim=16, side="item"),
        CategoricalFeature("author", dim=16, side="item"),
        CategoricalFeature("category", dim=16, side="item"),
        CategoricalFeature("city", dim=16),
        CategoricalFeature("hour", dim=16),
        NumericFeature("price", buckets=20, side="item"),
        NumericFeature("quality", "z_score", side="item"),
    ),
    sequences=(
        SequenceFeature("seen", ("item", "category"), max_length=20),
        SequenceFeature("clicked", ("item", "category"), when="click == 1", max_length=20),
        SequenceFeature("bought", ("item", "category"), when="buy == 1", max_length=10),
    ),
    tasks=(BinaryTask("click", known_at_event=True), BinaryTask("buy", known_at_event=True)),
    split=Split(by="time", valid=0.1, test=0.1),
)


def write_log(folder: Path, rows: int, seed: int = 0) -> None:
    """Parquet files of `ROWS_PER_FILE` rows in order of time, and `problem.yaml`. A file that is there is kept.

    A file is a function of the seed, its number and the log's size, so that a killed run goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    PROBLEM.save(folder / PROBLEM_FILE)
    number = -(-rows // ROWS_PER_FILE)
    for index in range(number):
        file = folder / f"part-{index:05d}.parquet"
        if file.is_file():
            continue
        own = min(ROWS_PER_FILE, rows - index * ROWS_PER_FILE)
        times = _START + _DAYS * 86_400 * index // number, _START + _DAYS * 86_400 * (index + 1) // number
        table = _rows(np.random.default_rng([seed, rows, index]), own, rows, times)
        parquet.write_table(table, file.with_suffix(".part"), row_group_size=65_536)
        file.with_suffix(".part").rename(file)


def _rows(generator: np.random.Generator, rows: int, all_rows: int, times: tuple[int, int]) -> pa.Table:
    users, items, ads = (max(1, all_rows // share) for share in (ROWS_A_USER, 5, 25))
    user = generator.integers(0, users, rows)
    # Half of the rows are of items that are frequent, half of any: a long tail of which nearly all occurs.
    item = np.where(generator.random(rows) < 0.5, generator.integers(0, items, rows), _skewed(generator, items, rows))
    # Users and items have a taste and a quality, told by their numbers alone, so that there is something to learn.
    liking = np.sin(user * 0.37) * np.sin(item * 0.11) + np.cos(item * 0.53)
    click = generator.random(rows) < 1.0 / (1.0 + np.exp(1.0 - 1.5 * liking))
    buy = click & (generator.random(rows) < 1.0 / (1.0 + np.exp(2.0 - liking)))
    return pa.table(
        {
            "user": _texts("u", user),
            "ts": np.sort(generator.integers(*times, rows)),
            "item": _texts("i", item),
            "ad": _texts("a", generator.integers(0, ads, rows)),
            **{name: _texts(name[0], _skewed(generator, size, rows)) for name, size in _SMALL.items()},
            "price": pa.array(generator.lognormal(3.0, 1.0, rows).round(2), mask=generator.random(rows) < 0.02),
            "quality": generator.normal(0.5, 0.2, rows),
            "click": click.astype(np.int8),
            "buy": buy.astype(np.int8),
        }
    )


def _skewed(generator: np.random.Generator, size: int, rows: int) -> np.ndarray:
    """Numbers below `size` of which the small ones are frequent."""
    return (size * generator.random(rows) ** 3).astype(np.int64)


def _texts(letter: str, numbers: np.ndarray) -> pa.Array:
    return pa.array(np.char.add(letter, numbers.astype("U8")).astype(object), pa.string())
