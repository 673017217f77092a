"""Counts of encoded feature values, batch by batch."""

from collections.abc import Mapping

import numpy as np

from tfmtl.features import behavior_of
from tfmtl.schema import ModelInputs, Problem, View
from tfmtl.schema.reserved import JOINT, MISSING_ID, RESERVED_IDS


class FeatureViews:
    """The views of all features of a batch, from the behaviors of their kinds.

    Args:
        problem: `Problem`.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._behaviors = {feature.name: behavior_of(feature, problem) for feature in problem.features}

    def of(self, features: Mapping[str, np.ndarray]) -> dict[str, View]:
        """Name -> view, of a batch as `encoded_signature` describes it."""
        behaviors = self._behaviors.values()
        return {name: view for behavior in behaviors for name, view in behavior.views(features).items()}

    def of_events(self, features: Mapping[str, np.ndarray]) -> dict[str, View]:
        """`<sequence>__<name>` -> view, of all events of a batch one after another, their time gaps among them."""
        found: dict[str, View] = {}
        for sequence in self._problem.sequences:
            is_event = features[sequence.column_key(sequence.columns[0])] != 0
            for column in sequence.columns:
                tensors = self._problem.feature(column).tensors(self._problem)
                events = {each.key: features[sequence.column_key(each.key)][is_event] for each in tensors}
                views = self._behaviors[column].views(events)
                found |= {sequence.column_key(name): view for name, view in views.items()}
            if sequence.time_gap_buckets:
                key = sequence.gap_key
                found[key] = View("ids", features[key][is_event], key)
        return found

    def empty(self) -> dict[str, View]:
        """The views of no rows, their events among them: names, forms and tables."""
        nothing = {each.key: np.zeros((0, *each.inner), each.dtype) for each in self._problem.tensors}
        return {**self.of(nothing), **self.of_events(nothing)}


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
        ordered: names in `ids` whose neighboring ids are neighboring values.
    """

    def __init__(self, inputs: ModelInputs) -> None:
        problem = inputs.problem
        self._views = FeatureViews(problem)
        nothing = self._views.empty()
        views = {name: view for name, view in nothing.items() if JOINT not in name}
        of_events = {name: view for name, view in nothing.items() if JOINT in name}
        self._lists = {name for name, view in views.items() if view.form == "lists"}
        numbers = [name for name, view in nothing.items() if view.form == "numbers"]
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
        gaps = {each.gap_key: each.time_gap_buckets + RESERVED_IDS for each in problem.sequences}
        self.events = {
            name: np.zeros(gaps.get(name) or inputs.table_rows[view.table], np.int64)
            for name, view in of_events.items()
            if view.table is not None
        }

    @property
    def numbers(self) -> dict[str, np.ndarray]:
        """Scaled numeric feature -> its values, float32 `(rows,)`; `<sequence>__<feature>` -> those of all events."""
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
        views |= self._views.of_events(features)
        for name, counts in self.events.items():
            values = views[name].values
            values = values[values != MISSING_ID] if views[name].form == "lists" else values
            counts += np.bincount(values, minlength=len(counts))
        for name, parts in self._numbers.items():
            parts.append(views[name].values)

    def _add_lengths(self, name: str, values: np.ndarray) -> None:
        counts = self.lengths[name]
        counts += np.bincount(np.count_nonzero(values, axis=1), minlength=len(counts))


def length_name(name: str) -> str:
    """The name under which the length of a list is counted."""
    return f"{name} (length)"
