"""What is counted in a sample of one split's records."""

from dataclasses import dataclass

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.schema import CategoricalFeature

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
    """

    examples: int
    ids: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]
    lengths: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]


def sample_split(data: PreparedData, split: str, rows: int) -> SplitSample:
    """Counts the first `rows` examples of a split, read batch by batch.

    Users are spread over the files by a hash, so the first files hold a random part of the users.
    """
    problem = data.problem
    tables = {feature.name: feature.table_name for feature in problem.features}
    lists = {f.name: f.max_values for f in problem.features if isinstance(f, CategoricalFeature) and f.multi_valued}
    scaled = [f.name for f in problem.features if f.table_name not in problem.tables]
    ids = {
        name: np.zeros(data.inputs.table_rows[table], np.int64)
        for name, table in tables.items()
        if table in problem.tables and name not in scaled
    }
    keys = {sequence.name: sequence.column_key(sequence.columns[0]) for sequence in problem.sequences}
    most = lists | {sequence.name: sequence.max_length for sequence in problem.sequences}
    lengths = {_length_name(name, name in lists): np.zeros(size + 1, np.int64) for name, size in most.items()}
    numbers: dict[str, list[np.ndarray]] = {name: [] for name in scaled}
    labels: dict[str, list[np.ndarray]] = {task.name: [] for task in problem.tasks}
    left = rows
    if data.num_examples(split):
        for features, found, _ in data.split(split, _BATCH).as_numpy_iterator():
            for name in ids:
                values = features[name][:left].reshape(-1)
                values = values[values != 0] if name in lists else values
                ids[name] += np.bincount(values, minlength=len(ids[name]))
            for name in most:
                counted = np.count_nonzero(features[keys.get(name, name)][:left], axis=1)
                lengths[_length_name(name, name in lists)] += np.bincount(counted, minlength=most[name] + 1)
            for name in scaled:
                numbers[name].append(features[name][:left])
            for task, values in found.items():
                labels[task].append(values[:left])
            left -= min(_BATCH, left)
            if not left:
                break
    joined = {task: _joined(parts) for task, parts in labels.items()}
    return SplitSample(
        examples=len(next(iter(joined.values()))),
        ids=ids,
        numbers={name: _joined(parts) for name, parts in numbers.items()},
        lengths=lengths,
        labels=joined,
    )


def _length_name(name: str, is_list: bool) -> str:
    """As `find_label_leaks` calls it; a list and a sequence may have one name."""
    return f"{name} (length)" if is_list else name


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
