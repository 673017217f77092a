"""Counts over a sample of one split's records."""

from dataclasses import dataclass

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.data.feature_counts import FeatureCounts

_BATCH = 4096


@dataclass(frozen=True)
class SplitSample:
    """Counts of one split.

    Attributes:
        examples: int. Examples looked at.
        ids: feature -> how often each id occurs, `(table rows,)`; lists count every value.
        numbers: scaled numeric feature -> its values, float32 `(examples,)`.
        lengths: list or sequence -> how many examples have 0, 1, 2, ... values.
        labels: task -> float32 `(examples,)`, NaN where missing.
        ordered: names in `ids` whose neighboring ids are neighboring values.
    """

    examples: int
    ids: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]
    lengths: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    ordered: frozenset[str]


def sample_split(data: PreparedData, split: str, rows: int) -> SplitSample:
    """Counts the first `rows` examples of a split, read batch by batch.

    Users are spread over the files by a hash, so the first files hold a random part of the users.
    """
    counts = FeatureCounts(data.inputs)
    labels: dict[str, list[np.ndarray]] = {task.name: [] for task in data.problem.tasks}
    left = rows
    if data.num_examples(split):
        for features, found, _ in data.split(split, _BATCH).as_numpy_iterator():
            counts.add({name: values[:left] for name, values in features.items()})
            for task, parts in labels.items():  # a label's further parts are not shown
                parts.append(found[task][:left])
            left -= min(_BATCH, left)
            if not left:
                break
    joined = {task: np.concatenate(parts) if parts else np.empty(0, np.float32) for task, parts in labels.items()}
    return SplitSample(
        examples=len(next(iter(joined.values()))),
        ids=counts.ids,
        numbers=counts.numbers,
        lengths=counts.lengths,
        labels=joined,
        ordered=frozenset(counts.ordered),
    )
