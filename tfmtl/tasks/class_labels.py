"""Labels that are one of several texts."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.schema import TaskRecord
from tfmtl.tasks.label_columns import LabelColumns

_PRIOR_COUNT = 1.0  # of every class, so that one that never occurs keeps a finite logit


def read_classes(record: TaskRecord, classes: Sequence[str], raw: LabelColumns) -> pa.Array:
    """The place of every label among the classes, float32, null where missing; another label is rejected."""
    name = str(record.label_column)
    texts = raw.text(name)
    places = pc.index_in(texts, pa.array(list(classes)))
    raw.reject(pc.and_(pc.is_valid(texts), pc.is_null(places)), f"label '{name}' is none of the task's classes", texts)
    return pc.cast(places, pa.float32())


def class_shares(counts: pa.Table | None, num_classes: int) -> list[float]:
    """The share of each class in the training labels, each a little above 0."""
    found = np.full(num_classes, _PRIOR_COUNT)
    if counts is not None:
        np.add.at(found, counts["value"].to_numpy().astype(int), counts["count"].to_numpy())
    return [float(share) for share in found / found.sum()]
