"""How often a model reads what: counts of encoded features, batch by batch."""

from collections.abc import Mapping

import numpy as np

from tfmtl.schema import CategoricalFeature, ModelInputs


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
    """

    def __init__(self, inputs: ModelInputs) -> None:
        problem = inputs.problem
        tables = {feature.name: feature.table_name for feature in problem.features}
        self._lists = {
            feature.name: feature.max_values
            for feature in problem.features
            if isinstance(feature, CategoricalFeature) and feature.multi_valued
        }
        self._scaled = [name for name, table in tables.items() if table not in problem.tables]
        self._numbers: dict[str, list[np.ndarray]] = {name: [] for name in self._scaled}
        self._first_keys = {sequence.name: sequence.column_key(sequence.columns[0]) for sequence in problem.sequences}
        self.ids = {
            name: np.zeros(inputs.table_rows[table], np.int64)
            for name, table in tables.items()
            if name not in self._scaled
        }
        most = {length_name(name): size for name, size in self._lists.items()}
        most |= {sequence.name: sequence.max_length for sequence in problem.sequences}
        self.lengths = {name: np.zeros(size + 1, np.int64) for name, size in most.items()}
        self.events: dict[str, np.ndarray] = {}
        self._keys: dict[str, str] = {}  # column -> the sequence's first one
        for sequence in problem.sequences:
            sizes = {sequence.column_key(name): len(self.ids[name]) for name in sequence.columns}
            if sequence.time_gap_buckets:
                sizes[sequence.gap_key] = sequence.time_gap_buckets + 2
            for key, size in sizes.items():
                self.events[key] = np.zeros(size, np.int64)
                self._keys[key] = self._first_keys[sequence.name]

    @property
    def numbers(self) -> dict[str, np.ndarray]:
        """Scaled numeric feature -> its values, float32 `(rows,)`."""
        return {
            name: np.concatenate(parts) if parts else np.empty(0, np.float32) for name, parts in self._numbers.items()
        }

    def add(self, features: Mapping[str, np.ndarray]) -> None:
        """Counts a batch, encoded as `encoded_signature` says."""
        for name, counts in self.ids.items():
            values = features[name].reshape(-1)
            values = values[values != 0] if name in self._lists else values
            counts += np.bincount(values, minlength=len(counts))
        for name in self._lists:
            self._add_lengths(length_name(name), features[name])
        for name, key in self._first_keys.items():
            self._add_lengths(name, features[key])
        for key, counts in self.events.items():
            is_event = features[self._keys[key]] != 0
            counts += np.bincount(features[key][is_event], minlength=len(counts))
        for name, parts in self._numbers.items():
            parts.append(features[name])

    def _add_lengths(self, name: str, values: np.ndarray) -> None:
        counts = self.lengths[name]
        counts += np.bincount(np.count_nonzero(values, axis=1), minlength=len(counts))


def length_name(name: str) -> str:
    """What the length of a list is counted under."""
    return f"{name} (length)"
