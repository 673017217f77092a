"""Find label leaks: features that nearly give a label away."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfmtl.core.label_parts import label_parts
from tfmtl.data import PreparedData
from tfmtl.data.feature_counts import FeatureViews, length_name
from tfmtl.schema import Problem, SequenceFeature
from tfmtl.schema.reserved import MISSING_ID, OUT_OF_VOCABULARY
from tfmtl.tasks import TaskBehavior, behavior_of

_ROWS = 100_000
_BATCH = 4096
_INDEX_ROWS = 20_000  # of the sample, of which a c-index is computed: it takes some .05 s a column
_FEWEST = 10  # labels of either class, in each half: with fewer a high AUC means little
_BINS, _ROWS_A_BIN = 200, 20
_EVENT_ROWS = 20_000  # of the sample, in which events of sequences are looked at: each row has up to hundreds of them
_FEWEST_KEYS = 20  # users or groups, so that halves of them are alike
_PRIOR_ROWS = 1.0  # how many rows the overall mean counts for in the mean of an id


@dataclass(frozen=True)
class LabelLeak:
    """A feature whose value alone tells the label.

    Args:
        feature: str. Its name; `<name> (length)` is the number of values in a list or history,
            `<sequence>__<column>` what its events hold, `<sequence>__<column> (matches)` how many of them hold the
            row's own value, `(newest)` and `(mean)` a number of theirs, `<sequence>__gap` how long ago they were.
        task: str.
        auc: float. Of the feature alone, on a sample of the training split; of a lifetime it is the c-index.
        measure: str. `"AUC"` or `"c-index"`. Defaults to `"AUC"`.
        threshold: float. From which value on a feature of this task is suspicious. Defaults to `0.98`.
    """

    feature: str
    task: str
    auc: float
    measure: str = "AUC"
    threshold: float = TaskBehavior.leak_threshold

    def __str__(self) -> str:
        return (
            f"feature '{self.feature}' alone tells task '{self.task}' "
            f"({self.measure} {self.auc:.3f} on the training split): it may contain the label, or be known only "
            "after it."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the run record."""
        return {**asdict(self), "auc": round(self.auc, 6)}


def find_label_leaks(data: PreparedData, rows: int = _ROWS, threshold: float | None = None) -> list[LabelLeak]:
    """The features whose single-feature AUC exceeds a threshold for a task's event, the highest first.

    Of a lifetime it is the c-index, of 20,000 rows: a feature that grows with the lifetime, such as the total of
    something or the date of the end, puts most pairs of rows in the right order.

    The event is the label itself of a binary task; of others what their kind says, such as a label above the median.

    A number is scored by its value, in the better of both directions, and as an id of 200 equally frequent bins, since
    a model also sees that it is missing or lies in the middle. An id is scored by the mean label of its rows in the
    other half of the sample, so that an id of few rows, such as a user's, shows what it tells of new rows. Lists are
    scored by their ids, each of which counts with the log odds of its rows in the other half, and by their length.
    Histories are scored by their length, by the ids and time gaps in their events as lists are, by how many events hold
    the row's own value, and by the newest and the mean number and the newest gap of their events. Rows without
    the label do not count.

    Halves are of users or groups (`keys.group`, else `keys.user`) where there are any: rows of one session may share
    their label, and what tells the session would tell the label to nobody who meets a new one.

    Args:
        data: `PreparedData`.
        rows: int. Size of the sample, the first rows of the training split. Users lie in it by chance. Defaults to
            `100_000`.
        threshold: float or None. Defaults to `None`: that of the task's kind, .98 of an AUC and .85 of a c-index.
    """
    features, labels, groups = _sample(data, rows)
    halves = _halves(groups)
    asked = [
        _Asked(task.name, behavior, parts, target)
        for task in data.problem.tasks
        if (target := (behavior := behavior_of(task)).leak_target(parts := label_parts(task, labels))) is not None
    ]
    best: dict[tuple[str, str], LabelLeak] = {}
    for name, values in _columns(data.problem, features):
        for each in asked:
            found = each.measured(values, halves)
            limit = each.behavior.leak_threshold if threshold is None else threshold
            key = name, each.task
            if found is not None and found > limit and (key not in best or found > best[key].auc):
                best[key] = LabelLeak(*key, found, each.behavior.leak_measure, each.behavior.leak_threshold)
    return sorted(best.values(), key=lambda leak: -leak.auc)


@dataclass(frozen=True)
class _Asked:
    """A task whose label may leak: its labels by part, and the event that an AUC is measured of."""

    task: str
    behavior: TaskBehavior[Any]
    labels: Mapping[str, np.ndarray]
    target: np.ndarray

    def measured(self, values: np.ndarray, halves: np.ndarray) -> float | None:
        """What a column alone tells, 0.5 to 1; `None` where there are too few labels."""
        target = self.target[: len(values)]
        known = ~np.isnan(target)
        if self.behavior.leak_measure == "AUC":
            return single_feature_auc(values[known], target[known] > 0.5, halves[: len(values)][known])
        rows = min(len(values), _INDEX_ROWS)
        values, target, halves, known = values[:rows], target[:rows], halves[:rows], known[:rows]
        found = []
        for half in (halves, ~halves):
            scores = _scores(values, target > 0.5, known, half)
            labels = {part: held[:rows][half] for part, held in self.labels.items()}
            index = None if scores is None else self.behavior.leak_index(labels, scores[half])
            if index is None:
                return None
            found.append(max(index, 1.0 - index) if values.dtype.kind == "f" else index)
        return float(np.mean(found))


def _scores(values: np.ndarray, positive: np.ndarray, known: np.ndarray, half: np.ndarray) -> np.ndarray | None:
    """A number for each row of a half: floats as they are, of ids the mean of the other half's known labels."""
    other = known & ~half
    if min(positive[other].sum(), (~positive[other]).sum()) < _FEWEST:
        return None
    if values.dtype.kind == "f":
        middle = float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
        return np.nan_to_num(values.astype(np.float64), nan=middle)
    size = int(values.max()) + 1
    if values.ndim == 1:
        return np.asarray(_means(values[other], positive[other], size)[values])
    return _list_scores(values, _odds(values[other], positive[other], size))


def single_feature_auc(values: np.ndarray, positive: np.ndarray, is_first: np.ndarray | None = None) -> float | None:
    """AUC of one column; `None` where there are too few labels of a class.

    Args:
        values: `(N,)`; floats are scores, ints are ids from 0. Lists of ids are `(N, L)`, filled up with 0.
        positive: bool `(N,)`.
        is_first: bool `(N,)`, which of two halves a row is in. Defaults to `None`: every other row.
    """
    is_first = np.arange(len(values)) % 2 == 0 if is_first is None else is_first
    halves = [is_first, ~is_first]
    if any(min(positive[half].sum(), (~positive[half]).sum()) < _FEWEST for half in halves):
        return None
    if values.dtype.kind == "f":
        _, groups = np.unique(values, return_inverse=True)
        auc = _auc(np.arange(groups.max() + 1), groups, positive)
        return max(auc, 1.0 - auc)
    size = int(values.max()) + 1
    if values.ndim == 2:
        return float(np.mean([_list_auc(values, positive, half, halves[1 - k], size) for k, half in enumerate(halves)]))
    learned = [_means(values[half], positive[half], size) for half in halves]
    return float(np.mean([_auc(learned[1 - k], values[half], positive[half]) for k, half in enumerate(halves)]))


def _list_auc(ids: np.ndarray, positive: np.ndarray, half: np.ndarray, other: np.ndarray, size: int) -> float:
    """AUC of lists in a half, as naive Bayes learns them from the other."""
    scores = _list_scores(ids[half], _odds(ids[other], positive[other], size))
    return _auc(scores, np.arange(len(scores)), positive[half])


def _odds(ids: np.ndarray, positive: np.ndarray, size: int) -> np.ndarray:
    """Log odds of each id of lists, 0 of none, `(size,)`."""
    means = _means(ids.ravel(), np.repeat(positive, ids.shape[1]), size)
    odds = np.log(means / (1.0 - means))
    odds[0] = 0.0
    return np.asarray(odds)


def _list_scores(ids: np.ndarray, odds: np.ndarray) -> np.ndarray:
    return np.asarray(np.sum(np.where(ids > 0, odds[ids], 0.0), axis=1))


def _bins(values: np.ndarray) -> np.ndarray:
    """Ids of equally frequent bins, equal values in one."""
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    bins = min(_BINS, max(2, len(values) // _ROWS_A_BIN))
    return np.asarray(((np.cumsum(counts) - counts) * bins // len(values))[groups])


def _means(ids: np.ndarray, positive: np.ndarray, size: int) -> np.ndarray:
    """Mean label of each id, drawn to the overall mean: that is what an id without rows gets, `(size,)`."""
    positives = np.bincount(ids, positive, size) + _PRIOR_ROWS * positive.mean()
    return np.asarray(positives / (np.bincount(ids, minlength=size) + _PRIOR_ROWS))


def _auc(scores: np.ndarray, groups: np.ndarray, positive: np.ndarray) -> float:
    """AUC where every row of a group has the group's score; sorts the groups, not the rows."""
    _, rank = np.unique(scores, return_inverse=True)
    positives = np.bincount(rank, np.bincount(groups, positive, len(scores)))
    negatives = np.bincount(rank, np.bincount(groups, ~positive, len(scores)))
    below = np.cumsum(negatives) - negatives
    return float(np.sum(positives * (below + 0.5 * negatives)) / (positives.sum() * negatives.sum()))


def _sample(data: PreparedData, rows: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    batches = min(-(-rows // _BATCH), -(-data.num_examples("train") // _BATCH))
    parts = list(data.split("train", _BATCH).take(batches).as_numpy_iterator())
    features, labels = (_joined([part[index] for part in parts]) for index in (0, 1))
    return features, labels, np.concatenate([part[2] for part in parts])


def _halves(groups: np.ndarray) -> np.ndarray:
    """Whether each row is in the first half: half of the groups, or every other row where there are few."""
    distinct, numbers = np.unique(groups, return_inverse=True)
    return np.asarray((numbers if len(distinct) >= _FEWEST_KEYS else np.arange(len(groups))) % 2 == 0)


def _joined(parts: list[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(problem: Problem, features: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    for name, view in FeatureViews(problem).of(features).items():
        if view.form == "lists":
            yield length_name(name), np.count_nonzero(view.values, axis=1)
        yield name, view.values
        if view.form == "numbers":
            yield name, _bins(view.values)
    for sequence in problem.sequences:
        ids = features[sequence.column_key(sequence.columns[0])]
        yield length_name(sequence.name), np.count_nonzero(ids, axis=1)
        yield from _events(problem, sequence, {name: values[:_EVENT_ROWS] for name, values in features.items()})


def _events(
    problem: Problem, sequence: SequenceFeature, features: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """The ids and numbers in a sequence's events, how long ago they were, and how many hold the row's own id."""
    is_event = features[sequence.column_key(sequence.columns[0])] > MISSING_ID
    newest = is_event.shape[1] - 1 - np.argmax(is_event[:, ::-1], axis=1)  # of a row without events: a padded place
    rows = np.arange(len(is_event))
    if sequence.gap_key in features:
        gaps = features[sequence.gap_key]
        yield sequence.gap_key, gaps
        yield f"{sequence.gap_key} (newest)", gaps[rows, newest]
    for column in sequence.columns:
        for tensor in problem.feature(column).tensors(problem):
            ids = features[sequence.column_key(tensor.key)]
            name = sequence.column_key(tensor.key)
            if ids.dtype.kind == "f" and ids.ndim == 2:
                yield f"{name} (newest)", ids[rows, newest]
                yield f"{name} (mean)", np.sum(ids * is_event, axis=1) / np.maximum(is_event.sum(axis=1), 1)
            if ids.dtype.kind != "i":
                continue
            yield name, ids.reshape(len(ids), -1)
            own = features[tensor.key]
            if own.ndim == 1 and ids.ndim == 2:
                same = (ids == own[:, np.newaxis]) & (ids > OUT_OF_VOCABULARY)
                yield f"{name} (matches)", np.count_nonzero(same, axis=1)
