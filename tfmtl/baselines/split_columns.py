"""Read a split of prepared data as plain columns, for models that take a table."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.schema import EncodedTensor, Problem
from tfmtl.schema.reserved import MISSING_ID

_BATCH = 8192
_WIDEST = 256  # numbers of one tensor


@dataclass(frozen=True)
class SplitColumns:
    """The examples of a split as columns, in the order of the files.

    Shapes: N rows.

    Args:
        numbers: name -> float32 `(N,)`, NaN where missing: numbers, buckets in their order, derived features, vectors,
            lengths of lists, and lengths of sequences from which nothing is derived.
        ids: name -> int32 `(N,)`: values without an order, 0 where missing, 1 out of vocabulary.
        labels: label key -> float32 `(N,)`, NaN where missing.
        groups: `(N,)`, the groups of the grouped AUC.
        left_out: encoded tensors that no column can hold, such as images.
    """

    numbers: Mapping[str, np.ndarray]
    ids: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    groups: np.ndarray
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: PreparedData, split: str, most_rows: int | None = None) -> "SplitColumns":
        """Reads a split.

        Args:
            data: `PreparedData`.
            split: `"train"`, `"valid"` or `"test"`.
            most_rows: int or None. Rows to read at most; users are spread over the files by a hash, so the first files
                hold a random part of the users. Defaults to `None`: all.

        Raises:
            DataError: a file of the data is damaged.
        """
        problem = data.problem
        columns = _Columns(problem)
        labels: dict[str, list[np.ndarray]] = {key: [] for key in problem.label_keys}
        groups: list[np.ndarray] = []
        left = data.num_examples(split) if most_rows is None else min(most_rows, data.num_examples(split))
        with data.damage_named():
            for features, own, of_group in data.split(split, _BATCH).as_numpy_iterator() if left else ():
                columns.add({key: values[:left] for key, values in features.items()})
                for key, parts in labels.items():
                    parts.append(own[key][:left])
                groups.append(of_group[:left])
                left -= len(groups[-1])
                if not left:
                    break
        numbers, ids = columns.joined()
        return cls(
            numbers, ids, {key: _joined(parts) for key, parts in labels.items()}, _joined(groups), columns.left_out
        )

    def __len__(self) -> int:
        return len(self.groups)


class _Columns:
    """Adds up the columns of batches."""

    def __init__(self, problem: Problem) -> None:
        derived_from = {source for feature in problem.features for source in feature.sources}
        self._sequences = [each for each in problem.sequences if each.name not in derived_from]
        fields: dict[str, list[EncodedTensor]] = {}
        for tensor in problem.field_tensors:
            fields.setdefault(tensor.field, []).append(tensor)
        self._fields = fields
        self._numbers: dict[str, list[np.ndarray]] = {}
        self._ids: dict[str, list[np.ndarray]] = {}
        self.left_out = tuple(each.key for each in problem.field_tensors if _is_no_column(each))

    def add(self, features: Mapping[str, np.ndarray]) -> None:
        for field, tensors in self._fields.items():
            buckets = [each for each in tensors if each.role == "id" and each.is_ordered]
            numbers = [each for each in tensors if each.role == "number"]
            for each in numbers or buckets:
                values = features[each.key].astype(np.float32)
                if buckets:  # the bucket tells a missing value, for which the number is 0
                    values = np.where(features[buckets[0].key] == MISSING_ID, np.float32(np.nan), values)
                elif each.missing:  # a value of its own
                    values = np.where(values == np.float32(each.missing), np.float32(np.nan), values)
                self._numbers.setdefault(field, []).append(values)
            for each in tensors:
                if each.role == "id" and not each.is_ordered:
                    self._ids.setdefault(each.key, []).append(features[each.key])
                elif each.role == "ids":
                    self._add_length(each.key, features[each.key])
                elif each.role == "own" and not _is_no_column(each):
                    self._add_own(each, features[each.key])
        for sequence in self._sequences:
            self._add_length(sequence.name, features[sequence.column_key(sequence.columns[0])])

    def _add_length(self, name: str, values: np.ndarray) -> None:
        lengths = np.count_nonzero(values, axis=1).astype(np.float32)
        self._numbers.setdefault(f"{name} (length)", []).append(lengths)

    def _add_own(self, tensor: EncodedTensor, values: np.ndarray) -> None:
        if not tensor.inner:
            self._numbers.setdefault(tensor.key, []).append(values.astype(np.float32))
        else:
            for place in range(tensor.inner[0]):
                column = values[:, place].astype(np.float32)
                self._numbers.setdefault(f"{tensor.key}[{place}]", []).append(column)

    def joined(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Numbers and ids of all batches."""
        return (
            {name: _joined(parts) for name, parts in self._numbers.items()},
            {name: _joined(parts) for name, parts in self._ids.items()},
        )


def _is_no_column(tensor: EncodedTensor) -> bool:
    if tensor.is_pooled:
        return False
    return tensor.role != "own" or len(tensor.inner) > 1 or (bool(tensor.inner) and tensor.inner[0] > _WIDEST)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
