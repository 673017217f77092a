"""Feature statistics: a small profile of every feature's distribution, and its distance to another one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfmtl.core import drift
from tfmtl.data.feature_counts import FeatureCounts, length_name
from tfmtl.data.prepared_data import PreparedData
from tfmtl.schema.reserved import JOINT

PROFILE_ROWS = 100_000
_BATCH = 4096
_IDS, _NUMBERS, _LENGTHS = "ids", "numbers", "lengths"


@dataclass(frozen=True)
class ColumnProfile:
    """Counts per bin of a feature, a sequence's column or a length.

    Args:
        kind: str. `"ids"`: missing, out of vocabulary, chosen ids, all others; `"numbers"`: between edges; or
            `"lengths"`: 0, 1, 2, 3-4, 5-8, ...
        bins: tuple of numbers. The chosen ids, or the edges; empty for lengths.
        counts: tuple of int. Number of values in each bin.
        rows: int. Number of rows that the values come from. Lists and sequences have several values per row.
        mean: float or None. Of lengths. Defaults to None.
    """

    kind: str
    bins: tuple[float, ...]
    counts: tuple[int, ...]
    rows: int
    mean: float | None = None

    @classmethod
    def of(
        cls, kind: str, bins: np.ndarray, counts: np.ndarray, rows: int, mean: float | None = None
    ) -> "ColumnProfile":
        """The profile with plain values."""
        return cls(kind, tuple(bins.tolist()), tuple(int(count) for count in counts), int(rows), mean)


@dataclass(frozen=True)
class ColumnDrift:
    """The distance of one column from its profile.

    Args:
        name: str.
        rows: int. Number of rows compared.
        psi: float. Population stability index; NaN where either side has no value.
        chance: float. Mean of the index if nothing has drifted.
        chance_limit: float. Value that the index exceeds about once in a thousand times if nothing has drifted.
        missing: pair of float or None. Share of missing values in the profile and now, for ids.
        out_of_vocabulary: pair of float or None. Likewise.
        length: pair of float or None. Mean length in the profile and now, for lengths.
    """

    name: str
    rows: int
    psi: float
    chance: float
    chance_limit: float
    missing: tuple[float, float] | None = None
    out_of_vocabulary: tuple[float, float] | None = None
    length: tuple[float, float] | None = None

    def exceeds(self, limit: float) -> bool:
        """Whether the index is above the limit, and above what chance explains."""
        return self.psi > max(limit, self.chance_limit)


@dataclass(frozen=True)
class FeatureProfile:
    """The profile of every column.

    Args:
        examples: int. Examples counted.
        columns: column -> `ColumnProfile`.
    """

    examples: int
    columns: Mapping[str, ColumnProfile]

    @classmethod
    def of_split(cls, data: PreparedData, split: str, rows: int = PROFILE_ROWS) -> "FeatureProfile":
        """Counts the first `rows` examples of a split.

        Users are spread over the files by a hash, so the first files hold a random part of the users.
        """
        counts = FeatureCounts(data.inputs)
        left = rows
        if data.num_examples(split):
            for features, _, groups in data.split(split, _BATCH).as_numpy_iterator():
                counts.add({name: values[:left] for name, values in features.items()})
                left -= min(len(groups), left)
                if not left:
                    break
        return cls.of_counts(counts, rows - left)

    @classmethod
    def of_counts(cls, counts: FeatureCounts, examples: int) -> "FeatureProfile":
        """The profile of what was counted; its bins are chosen by what is frequent there."""
        columns = {}
        rows = _rows(counts)
        for name, ids in (counts.ids | counts.events).items():
            # Buckets are few: all are bins.
            chosen = np.arange(2, len(ids)) if name in counts.ordered else drift.top_ids(ids)
            columns[name] = ColumnProfile.of(_IDS, chosen, drift.id_bins(ids, chosen), rows[name])
        for name, values in counts.numbers.items():
            edges = drift.decile_edges(values)
            columns[name] = ColumnProfile.of(_NUMBERS, edges, drift.number_bins(values, edges), rows[name])
        for name, lengths in counts.lengths.items():
            column = _length_column(name)
            columns[column] = ColumnProfile.of(
                _LENGTHS, np.empty(0), drift.length_bins(lengths), rows[column], _mean_length(lengths)
            )
        return cls(examples, columns)

    def compare(self, counts: FeatureCounts) -> list[ColumnDrift]:
        """How far what was counted lies from this profile, the farthest first; columns without values are left out."""
        rows = _rows(counts)
        lengths = {_length_column(name): values for name, values in counts.lengths.items()}
        numbers = counts.numbers
        found = []
        for name, column in self.columns.items():
            bins = np.array(column.bins)
            if column.kind == _IDS:
                values = counts.ids[name] if name in counts.ids else counts.events[name]
                actual = drift.id_bins(values, bins)
            elif column.kind == _NUMBERS:
                actual = drift.number_bins(numbers[name], bins)
            else:
                actual = drift.length_bins(lengths[name])
            if actual.sum() and sum(column.counts):
                mean = _mean_length(lengths[name]) if column.kind == _LENGTHS else None
                found.append(_drift(name, column, actual, rows[name], mean))
        return sorted(found, key=lambda each: -each.psi)

    def to_dict(self) -> dict[str, Any]:
        """The mapping that `from_dict` reads back."""
        return {"examples": self.examples, "columns": {name: asdict(column) for name, column in self.columns.items()}}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "FeatureProfile":
        """Reads what `to_dict` wrote."""
        columns = {
            name: ColumnProfile(each["kind"], tuple(each["bins"]), tuple(each["counts"]), each["rows"], each["mean"])
            for name, each in mapping["columns"].items()
        }
        return cls(mapping["examples"], columns)


def _drift(name: str, column: ColumnProfile, actual: np.ndarray, rows: int, mean: float | None) -> ColumnDrift:
    expected = np.array(column.counts)
    # The values of one row hang together: what chance does goes by the rows.
    by_row = expected * (column.rows / expected.sum()), actual * (rows / actual.sum())
    rates: dict[str, Any] = {}
    if column.kind == _IDS:
        for index, rate in enumerate(("missing", "out_of_vocabulary")):
            rates[rate] = (float(expected[index] / expected.sum()), float(actual[index] / actual.sum()))
    if column.mean is not None and mean is not None:
        rates["length"] = (column.mean, mean)
    psi = drift.population_stability_index(expected, actual)
    return ColumnDrift(name, rows, psi, drift.chance_level(*by_row), drift.chance_limit(*by_row), **rates)


def _length_column(name: str) -> str:
    """A list's own name for its length; a feature and a sequence may have one name, so a sequence's is another."""
    return name if name.endswith(length_name("")) else f"{name} (events)"


def _mean_length(counts: np.ndarray) -> float:
    return float(np.arange(len(counts)) @ counts / max(int(counts.sum()), 1))


def _rows(counts: FeatureCounts) -> dict[str, int]:
    """Column -> rows that have a value in it."""
    with_values = {name: int(lengths[1:].sum()) for name, lengths in counts.lengths.items()}
    rows = {_length_column(name): int(lengths.sum()) for name, lengths in counts.lengths.items()}
    rows |= {name: len(values) for name, values in counts.numbers.items()}
    rows |= {name: with_values.get(length_name(name), int(ids.sum())) for name, ids in counts.ids.items()}
    of_events = [*counts.events, *(name for name in counts.numbers if JOINT in name)]
    return rows | {key: with_values[key.partition(JOINT)[0]] for key in of_events}
