"""Where every feature's rows lie inside the fused tables."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from tfmtl.schema import CategoricalFeature, ModelInputs, NumericFeature

_RESERVED = 2  # rows 0 (missing) and 1 (out of vocabulary) of every table


@dataclass(frozen=True)
class IdColumn:
    """One tensor of ids: its key, its table, and its length along axis 1."""

    key: str
    table: str
    length: int
    is_list: bool


@dataclass(frozen=True)
class TableRows:
    """Where a table lies: the width of the fused one it is part of, its first row there, and how many it has."""

    width: int
    start: int
    count: int


class EmbeddingPlan:
    """Groups id features by width and gives each table its rows in the fused one.

    Args:
        inputs: `ModelInputs`.
        dim: int or None. Common width of all fields; `None` takes the widest feature's.
    """

    def __init__(self, inputs: ModelInputs, dim: int | None) -> None:
        problem = inputs.problem
        self.dim = dim or max(feature.dim for feature in problem.features)
        self.sequences = problem.sequences
        self.longest_sequence = max((sequence.max_length for sequence in problem.sequences), default=0)
        self.scalar_names: list[str] = []
        self.list_names: list[str] = []
        self.scaled_names: list[str] = []
        self.columns: dict[int, list[IdColumn]] = {}
        self.table_rows: dict[int, int] = {}
        self.tables: dict[str, TableRows] = {}
        for table, features in problem.tables.items():
            self._add_table(table, features[0].dim, inputs.table_rows[table])
        for feature in problem.features:
            if isinstance(feature, NumericFeature) and not feature.is_bucketized:
                self.scaled_names.append(feature.name)
            elif isinstance(feature, CategoricalFeature) and feature.multi_valued:
                self.list_names.append(feature.name)
                self._add_column(feature.dim, feature.name, feature.table_name, feature.max_values, True)
            else:
                self.scalar_names.append(feature.name)
                self._add_column(feature.dim, feature.name, feature.table_name, 1, False)
        for sequence in problem.sequences:
            for name in sequence.columns:
                feature = problem.feature(name)
                key = sequence.column_key(name)
                self._add_column(feature.dim, key, feature.table_name, sequence.max_length, True)
            if sequence.time_gap_buckets:
                self._add_table(sequence.gap_key, self.dim, sequence.time_gap_buckets + _RESERVED)
                self._add_column(self.dim, sequence.gap_key, sequence.gap_key, sequence.max_length, True)

    def _add_table(self, table: str, width: int, rows: int) -> None:
        self.tables[table] = TableRows(width, self.table_rows.get(width, 0), rows)
        self.table_rows[width] = self.tables[table].start + rows

    def _add_column(self, width: int, key: str, table: str, length: int, is_list: bool) -> None:
        self.columns.setdefault(width, []).append(IdColumn(key, table, length, is_list))

    @property
    def field_names(self) -> tuple[str, ...]:
        """Single ids first, then lists, then scaled numbers."""
        return (*self.scalar_names, *self.list_names, *self.scaled_names)

    def feature_rows(self, name: str) -> TableRows | None:
        """The rows of a feature's table, reserved ones first; `None` for a feature without ids."""
        for columns in self.columns.values():
            for column in columns:
                if column.key == name:
                    return self.tables[column.table]
        return None

    def columns_among(self, names: Container[str]) -> dict[int, list[IdColumn]]:
        """The columns of these names, by width."""
        found = {width: [c for c in columns if c.key in names] for width, columns in self.columns.items()}
        return {width: columns for width, columns in found.items() if columns}

    def row_offsets(self, columns: Sequence[IdColumn]) -> np.ndarray:
        """What to add to the concatenated ids of columns of one width to find their rows, `(ids,)`."""
        return np.repeat([self.tables[c.table].start for c in columns], [c.length for c in columns])

    def out_of_vocabulary_rows(self, width: int) -> list[int]:
        """The rows of a width's fused table that stand for unseen values."""
        tables = {column.table for column in self.columns[width]}
        return sorted(self.tables[table].start + 1 for table in tables)
