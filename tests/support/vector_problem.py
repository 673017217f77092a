"""The tiny problem with vectors of the item, the user and the context, also in events; and a log for it."""

from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.tiny_problem import ROWS, tiny_log, tiny_problem
from tfmtl.schema import Problem, SequenceFeature, VectorFeature

VECTORS = (
    VectorFeature("picture", 4, "z_score", side="item"),
    VectorFeature("taste", 3, "l2", side="user", column="Taste"),
    VectorFeature("note", 2, separator=" "),
)


def problem_of_vectors() -> Problem:
    """The first four features and the first sequence of the tiny problem, three vectors, and two of them in events."""
    problem = tiny_problem()
    seen = SequenceFeature("seen", ("item", "picture", "note"), max_length=3, time_gap_buckets=4)
    return tiny_problem(features=(*problem.features[:4], *VECTORS), sequences=(problem.sequences[0], seen))


def log_of_vectors(log: pa.Table | None = None, has_bad: bool = True) -> pa.Table:
    """A log of `ROWS` rows with vectors, some of them missing and, with `has_bad`, four that are none."""
    generator = np.random.default_rng(2)
    pictures: list[Any] = generator.normal(3.0, 2.0, (ROWS, 4)).astype(np.float32).tolist()
    pictures[10:12] = [None, []]
    notes: list[Any] = [f"{x:.4f} {y:.2f}" for x, y in generator.normal(size=(ROWS, 2))]
    notes[20:22] = ["", None]
    if has_bad:
        pictures[12:14] = [[1.0, 2.0], [1.0, float("nan"), 2.0, 3.0]]
        notes[22:24] = ["1 2 3", "1 x"]
    taste = pa.FixedSizeListArray.from_arrays(pa.array(generator.normal(size=3 * ROWS)), 3)
    columns = {"picture": pa.array(pictures, pa.list_(pa.float32())), "Taste": taste, "note": pa.array(notes)}
    log = tiny_log() if log is None else log
    for name, values in columns.items():
        log = log.append_column(name, values)
    return log
