"""Slices by texts, series, pictures and vectors: what records tell of them."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tfmtl
from tests.support.pictures import jpeg
from tfmtl.data import PreparedData
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    ImageFeature,
    Problem,
    SeriesFeature,
    Split,
    TextFeature,
    VectorFeature,
)
from tfmtl.training.row_slices import RowSlice, slice_rows

ROWS = 40
_NOTHING = range(0, ROWS, 8)
_STEPS = np.random.default_rng(0).gamma(2.0, 50.0, (ROWS, 3)).round(1)


def _some(values: list[Any]) -> list[Any]:
    return [None if row in _NOTHING else value for row, value in enumerate(values)]


@pytest.fixture(scope="module")
def data() -> PreparedData:
    steps = _STEPS.tolist()
    steps[3] = [steps[3][0], None, None]
    log = pa.table(
        {
            "part": ["train"] * ROWS,
            "click": [row % 2 for row in range(ROWS)],
            "shop": [f"s{row % 3}" for row in range(ROWS)],
            "title": _some([" ".join(["word"] * (row % 4)) for row in range(ROWS)]),
            "Runs": _some(["abc"] * ROWS),
            "shown": pa.array(_some(steps), pa.list_(pa.float64())),
            "banner": pa.array(_some([jpeg(6, 6, seed=row) for row in range(ROWS)]), pa.binary()),
            "place": pa.array(_some([[1.0, float(row)] for row in range(ROWS)]), pa.list_(pa.float64())),
        }
    )
    features = (
        CategoricalFeature("shop"),
        TextFeature("title", "words", min_count=1),
        TextFeature("runs", "ngrams", column="Runs"),
        SeriesFeature("shown", 3, "log_z_score"),
        ImageFeature("banner", 4, 4),
        VectorFeature("place", 2),
    )
    problem = Problem("other", features=features, tasks=(BinaryTask("click"),), split=Split(by="column", column="part"))
    return tfmtl.prepare(log, problem, num_shards=1)


def counts(data: PreparedData, *texts: str) -> dict[str, dict[str, int]]:
    found = slice_rows(data, "train", [RowSlice.read(text) for text in texts])
    return {text: {part: int(rows.sum()) for part, rows in parts.items()} for text, parts in found.items()}


def test_what_is_missing_is_a_part(data: PreparedData) -> None:
    given = {"given": ROWS - len(_NOTHING), "missing": len(_NOTHING)}
    found = counts(data, "shown", "banner", "place", "Runs", "title", "banner == 'given'")
    empty = sum(row % 4 == 0 for row in range(ROWS))  # texts without a word are missing, too
    assert found == {
        **dict.fromkeys(("shown", "banner", "place", "Runs"), given),
        "title": {"given": ROWS - empty, "missing": empty},
        "banner == 'given'": {"": given["given"]},
    }


def test_lengths_of_texts_and_values_of_series_are_numbers(data: PreparedData) -> None:
    there = np.array([row not in _NOTHING for row in range(ROWS)])
    means, last = _STEPS.mean(axis=1), _STEPS[:, -1].copy()
    means[3], last[3] = _STEPS[3, 0], np.nan
    found = counts(data, "`title words` >= 2", "`shown last` < 90", "`shown mean` > 100", "`shown last`")
    assert found["`title words` >= 2"][""] == sum(row % 4 >= 2 for row in range(ROWS))
    assert found["`shown last` < 90"][""] == (there & (last < 90)).sum()
    assert found["`shown mean` > 100"][""] == (there & (means > 100)).sum()
    assert found["shown last"]["missing"] == len(_NOTHING) + 1


def test_words_are_no_values(data: PreparedData) -> None:
    with pytest.raises(ValueError, match="must compare 'title' with values of its vocabulary"):
        counts(data, "title == 'word'")
