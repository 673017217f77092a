"""Census-Income as ids, the same arrays for every side of a comparison."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfmtl.pipelines.datasets.census_income import CENSUS_INCOME

TASKS = ("income", "never_married")
_MOST_VALUES = 100  # what has more are amounts of money, which are no categories
_LEFT_OUT = {*TASKS, "split", "year"}  # one of the two survey years says nothing about a person
_RESERVED = 2  # ids 0 (missing) and 1 (not seen in training)


def encode(folder: Path, output: Path, seed: int = 0) -> dict[str, Any]:
    """Writes the encoded rows to `output` (.npz) and returns what a model has to know of them.

    The file holds `train_ids` and `test_ids`, int32 `(N, fields)`, `train_labels` and `test_labels`, float32
    `(N, tasks)`. Training rows are those of the publisher's training file, in one random order that follows from
    `seed`; ids are numbered by falling frequency in them.

    Args:
        folder: where the raw files lie.
        output: the file to write.
        seed: of the order of the training rows.

    Returns:
        `fields` (names), `rows` (ids of every field, the two reserved ones included), `tasks`, `label_means`.
    """
    rows = CENSUS_INCOME.to_rows(CENSUS_INCOME.find(folder))
    is_test = rows["split"].to_numpy() == "test"
    order = np.random.default_rng(seed).permutation(np.flatnonzero(~is_test))
    columns, sizes, names = [], [], []
    for name in rows.column_names:
        if name in _LEFT_OUT or len(rows[name].unique()) > _MOST_VALUES:
            continue
        ids, size = encoded_column(rows[name], ~is_test)
        columns.append(ids)
        sizes.append(size)
        names.append(name)
    ids = np.stack(columns, axis=1)
    labels = np.stack([rows[task].to_numpy() for task in TASKS], axis=1).astype("float32")
    np.savez(
        output, train_ids=ids[order], train_labels=labels[order], test_ids=ids[is_test], test_labels=labels[is_test]
    )
    means = labels[order].mean(axis=0)
    return {"fields": names, "rows": sizes, "tasks": list(TASKS), "label_means": [float(mean) for mean in means]}


def encoded_column(column: pa.ChunkedArray, is_train: np.ndarray) -> tuple[np.ndarray, int]:
    """Ids by falling frequency in the training rows, and how many there are, the two reserved ones included."""
    values = np.asarray(column.to_pylist())
    known, counts = np.unique(values[is_train], return_counts=True)
    known = known[np.lexsort((known, -counts))]
    number = {value: index + _RESERVED for index, value in enumerate(known)}
    ids = np.asarray([number.get(value, 1) for value in values], "int32")
    return ids, len(known) + _RESERVED
