"""The layout of the fused embedding tables."""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfmtl.schema import EncodedTensor, FeatureRecord, ModelInputs


@dataclass(frozen=True)
class IdColumn:
    """One tensor of ids: its key, its table, how many ids a row has, and whether training changes what they read."""

    key: str
    table: str
    length: int
    is_list: bool
    is_trained: bool = True


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
        copies: int. Embeddings of each value, side by side: all widths are so many times what the problem says.
            Defaults to `1`.

    Attributes:
        scalars: tensors of role `id`, in the order of the problem.
        lists: those of role `ids`.
        numbers: those of role `number`, those that are added to others last.
        others: kind -> its tensors of the roles `lookup` and `own`, which its layer reads.
        events: sequence -> the tensors of its events, the one that says where there is an event first.
        queries: sequence -> the keys of what the example itself has of the events' columns, if pooled.
        other_events: sequence -> kind -> the tensors of the events' columns that the kind's layer reads, as the
            example itself has them.
        number_places: key of a scaled number, of the example or of its events -> its place in `numbers`, whose weights
            both have.
    """

    def __init__(self, inputs: ModelInputs, dim: int | None, copies: int = 1) -> None:
        problem = inputs.problem
        single = dim or max(each.dim for each in problem.field_tensors)
        tensors = _widened(problem.field_tensors, copies)
        self.dim = single * copies
        self.sequences = problem.sequences
        self.longest_sequence = max((sequence.max_length for sequence in problem.sequences), default=0)
        self.scalars = [each for each in tensors if each.role == "id"]
        self.lists = [each for each in tensors if each.role == "ids"]
        numbers = [each for each in tensors if each.role == "number"]
        # Those that enter once have a value for "missing"; among them candidates' last, so that others lie together.
        self.numbers = sorted(
            numbers, key=lambda each: (bool(each.joins), bool(each.joins) and each.missing < 0 and each.side == "item")
        )
        self.others = {
            kind: [each for feature in features for each in feature.tensors(problem) if not each.is_pooled]
            for kind, features in self.records(inputs).items()
        }
        self.events = {
            sequence.name: _widened(sequence.tensors(problem, single), copies) for sequence in problem.sequences
        }
        columns = {
            sequence.name: [each for name in sequence.columns for each in problem.feature(name).tensors(problem)]
            for sequence in problem.sequences
        }
        self.queries = {name: [each.key for each in tensors if each.is_pooled] for name, tensors in columns.items()}
        self.other_events = {
            name: {
                kind: held
                for kind, others in self.others.items()
                if (held := [each for each in others if each in tensors])
            }
            for name, tensors in columns.items()
        }
        self.number_places = {each.key: place for place, each in enumerate(self.numbers)}
        for sequence in problem.sequences:
            own = [key for key in self.queries[sequence.name] if key in self.number_places]
            self.number_places |= {sequence.column_key(key): self.number_places[key] for key in own}
        self.columns: dict[int, list[IdColumn]] = {}
        self.table_rows: dict[int, int] = {}
        self.tables: dict[str, TableRows] = {}
        for table in problem.tables:
            first = next(each for each in tensors if each.table == table)
            self._add_table(table, first.dim, inputs.table_rows[table])
        for each in tensors:
            self._add_column(each)
        for events in self.events.values():
            for each in events:
                if each.table is not None and each.table not in self.tables:  # of its time gaps
                    self._add_table(each.table, each.dim, int(each.rows or 0))
                self._add_column(each)

    def _add_table(self, table: str, width: int, rows: int) -> None:
        self.tables[table] = TableRows(width, self.table_rows.get(width, 0), rows)
        self.table_rows[width] = self.tables[table].start + rows

    def _add_column(self, tensor: EncodedTensor) -> None:
        if tensor.table is not None:
            length = math.prod(tensor.inner)
            column = IdColumn(tensor.key, tensor.table, length, bool(tensor.inner), tensor.is_trained)
            self.columns.setdefault(tensor.dim, []).append(column)

    @staticmethod
    def records(inputs: ModelInputs) -> dict[str, list[FeatureRecord]]:
        """Kind -> those of its features that a layer of the kind reads."""
        found: dict[str, list[FeatureRecord]] = {}
        for feature in inputs.problem.features:
            if not all(each.is_pooled for each in feature.tensors(inputs.problem)):
                found.setdefault(feature.kind, []).append(feature)
        return found

    @property
    def pooled_names(self) -> tuple[str, ...]:
        """Fields with an id of their own, lists, sums of numbers, single numbers; each once, whatever it is made of."""
        numbers = sorted(self.numbers, key=lambda each: not each.joins)
        return tuple(dict.fromkeys(each.joins or each.field for each in (*self.scalars, *self.lists, *numbers)))

    @property
    def joined_ids(self) -> dict[str, str]:
        """Key of an id that is added to others -> the field of all of them."""
        return {each.key: each.joins for each in self.scalars if each.joins}

    @property
    def joined_numbers(self) -> dict[str, list[int]]:
        """Field that numbers are added to -> their places in `numbers`."""
        found: dict[str, list[int]] = {}
        for place, each in enumerate(self.numbers):
            if each.joins:
                found.setdefault(each.joins, []).append(place)
        return found

    @property
    def field_names(self) -> tuple[str, ...]:
        """All fields: those that are pooled, then those of the kinds' own layers."""
        others = (each.field for tensors in self.others.values() for each in tensors)
        return (*self.pooled_names, *dict.fromkeys(others))

    @property
    def lone_ids(self) -> dict[str, int]:
        """Key of an id that is all of a field -> the field's place."""
        fields = [each.joins or each.field for each in (*self.scalars, *self.lists, *self.numbers)]
        names = self.pooled_names
        return {each.key: names.index(each.field) for each in self.scalars if fields.count(each.field) == 1}

    def feature_rows(self, key: str) -> TableRows | None:
        """The rows of the table that a tensor's ids index, reserved ones first; `None` for one without ids."""
        tables = {column.key: column.table for columns in self.columns.values() for column in columns}
        return self.tables[tables[key]] if key in tables else None

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


def _widened(tensors: Sequence[EncodedTensor], copies: int) -> list[EncodedTensor]:
    return [replace(each, dim=each.dim * copies) for each in tensors]
