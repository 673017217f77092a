"""How often a model reads what: counts of encoded features, batch by batch."""

from collections.abc import Mapping

import numpy as np

from tfmtl.features import behavior_of
from tfmtl.schema import ModelInputs, Problem, View
from tfmtl.schema.reserved import MISSING_ID


class FeatureViews:
    """What every feature shows of a batch, by the behaviors of their kinds.

    Args:
        problem: `Problem`.
    """

    def __init__(self, problem: Problem) -> None:
        self._behaviors = [behavior_of(feature, problem) for feature in problem.features]
        self._tensors = problem.field_tensors

    def of(self, features: Mapping[str, np.ndarray]) -> dict[str, View]:
        """Name -> view, of a batch as `encoded_signature` describes it."""
        return {name: view for behavior in self._behaviors for name, view in behavior.views(features).items()}

    def empty(self) -> dict[str, View]:
        """The views of no rows: names, forms and tables."""
        return self.of({each.key: np.zeros((0, *each.inner), each.dtype) for each in self._tensors})


class FeatureCounts:
    """Adds up what batches of encoded features hold.

    Features are counted one by one, so the batches of different features may have different numbers of rows: a
    request to rank has one row of the user's and many of the candidates'.

    Args:
        inputs: `ModelInputs`.

    Attributes:
        ids: feature -> how often each id occurs, `(table rows,)`; lists count every value.
        lengths: list or sequence -> how many rows have 0, 1, 2, ... values. The key of a list ends with ` (length)`,
            since a list and a sequence may have one name.
        events: column of a sequence, its time gap included -> how often each id occurs in its events, `(ids,)`.
        ordered: names in `ids` and `events` whose neighboring ids are neighboring values.
    """

    def __init__(self, inputs: ModelInputs) -> None:
        problem = inputs.problem
        self._views = FeatureViews(problem)
        views = self._views.empty()
        self._lists = {name for name, view in views.items() if view.form == "lists"}
        numbers = [name for name, view in views.items() if view.form == "numbers"]
        self._numbers: dict[str, list[np.ndarray]] = {name: [] for name in numbers}
        self._first_keys = {sequence.name: sequence.column_key(sequence.columns[0]) for sequence in problem.sequences}
        self.ids = {
            name: np.zeros(inputs.table_rows[view.table], np.int64)
            for name, view in views.items()
            if view.table is not None
        }
        self.ordered = {name for name, view in views.items() if view.is_ordered}
        most = {length_name(name): views[name].values.shape[1] for name in views if name in self._lists}
        most |= {sequence.name: sequence.max_length for sequence in problem.sequences}
        self.lengths = {name: np.zeros(size + 1, np.int64) for name, size in most.items()}
        self.events: dict[str, np.ndarray] = {}
        self._keys: dict[str, str] = {}  # column -> the sequence's first one
        for sequence in problem.sequences:
            for each in sequence.tensors(problem):
                if each.table is not None:
                    self.events[each.key] = np.zeros(each.rows or inputs.table_rows[each.table], np.int64)
                    self._keys[each.key] = self._first_keys[sequence.name]

    @property
    def numbers(self) -> dict[str, np.ndarray]:
        """Scaled numeric feature -> its values, float32 `(rows,)`."""
        return {
            name: np.concatenate(parts) if parts else np.empty(0, np.float32) for name, parts in self._numbers.items()
        }

    def add(self, features: Mapping[str, np.ndarray]) -> None:
        """Counts a batch, encoded as `encoded_signature` says."""
        views = self._views.of(features)
        for name, counts in self.ids.items():
            values = views[name].values.reshape(-1)
            values = values[values != MISSING_ID] if name in self._lists else values
            counts += np.bincount(values, minlength=len(counts))
        for name in self._lists:
            self._add_lengths(length_name(name), views[name].values)
        for name, key in self._first_keys.items():
            self._add_lengths(name, features[key])
        for key, counts in self.events.items():
            is_event = features[self._keys[key]] != MISSING_ID
            counts += np.bincount(features[key][is_event], minlength=len(counts))
        for name, parts in self._numbers.items():
            parts.append(views[name].values)

    def _add_lengths(self, name: str, values: np.ndarray) -> None:
        counts = self.lengths[name]
        counts += np.bincount(np.count_nonzero(values, axis=1), minlength=len(counts))


def length_name(name: str) -> str:
    """What the length of a list is counted under."""
    return f"{name} (length)"
