"""Parts of a split, by the value of a column or by a condition over columns."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data import PreparedData
from tfmtl.features import behavior_of
from tfmtl.features.conditions import holds
from tfmtl.features.decoded import Decoded
from tfmtl.schema import Condition
from tfmtl.schema.checks import did_you_mean
from tfmtl.schema.clause import Clause, clauses_of

MOST_VALUES = 10
_BATCH = 4096
_NAMED = re.compile(r"\s*([^:'\"`]+?)\s*:(.*)", re.DOTALL)
_PLAIN = re.compile(r"\s*(?:`([^`]+)`|([A-Za-z_]\w*))\s*")
_MISSING, _OTHERS = "missing", "all others"
_OWNER = "evaluate"


@dataclass(frozen=True)
class RowSlice:
    """What `--slice` asks for.

    Args:
        name: str. What it is called.
        column: str or None. A slice for each of its values. Defaults to `None`.
        condition: `Condition` or None. The rows where it holds. Defaults to `None`.
    """

    name: str
    column: str | None = None
    condition: Condition | None = None

    @classmethod
    def read(cls, text: str) -> "RowSlice":
        """Reads `country`, `viewed_count < 5` or `new users: viewed_count < 5`.

        Raises:
            ProblemError: what is no column is no condition, either.

        Example:

        >>> RowSlice.read("new users: viewed_count < 5").name
        'new users'
        """
        plain = _PLAIN.fullmatch(text)
        if plain:
            column = plain[1] or plain[2]
            return cls(column, column=column)
        named = _NAMED.fullmatch(text)
        name, condition = (named[1], named[2].strip()) if named else (text.strip(), text.strip())
        return cls(name, condition=Condition(condition))

    @property
    def clauses(self) -> list[Clause]:
        """The comparisons of the condition."""
        return [] if self.condition is None else list(clauses_of(self.condition.expression))

    @property
    def columns(self) -> tuple[str, ...]:
        """All that it reads."""
        return (self.column,) if self.column is not None else tuple(clause.column for clause in self.clauses)


def slice_rows(
    data: PreparedData, split: str, slices: Sequence[RowSlice]
) -> dict[str, dict[str, npt.NDArray[np.bool_]]]:
    """Slice -> its parts -> which rows of the split are in it, in the order of the files.

    A condition has one part. A column has one for each of its most frequent values and one for all others; a number has
    four ranges. Columns are known as far as records tell them: texts of the vocabulary, numbers at six digits (one that
    is only scaled counts as the mean where it is missing), of a number in buckets the bucket, of texts, pictures,
    series and vectors whether they are given.

    Args:
        data: `PreparedData`.
        split: str.
        slices: what is asked for; names differ.

    Raises:
        ValueError: a column is unknown, records do not tell it, or not what is asked.
    """
    wanted = sorted({column for each in slices for column in each.columns})
    columns = _read_columns(data, split, wanted)
    for each in slices:
        for clause in each.clauses:
            _check_clause(clause, columns[clause.column])
    rows = data.num_examples(split)
    return {
        each.name: _parts(columns[each.column])
        if each.column is not None
        else {"": np.asarray(holds(each.condition, _Columns(columns), rows))}
        for each in slices
    }


class _Columns:
    """The columns as conditions read them."""

    def __init__(self, columns: Mapping[str, Decoded]) -> None:
        self._columns = columns

    def text(self, name: str) -> pa.Array:
        return self._columns[name].values

    def number(self, name: str) -> pa.Array:
        values = self._columns[name].values
        if not pa.types.is_string(values.type):
            return values
        numbers = {text: _number(text) for text in values.unique().to_pylist()}
        return pa.array([numbers[text] for text in values.to_pylist()], pa.float64())


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def check_slices(data: PreparedData, slices: Sequence[RowSlice]) -> None:
    """Raises `ValueError` where a slice reads a column that records do not tell, before anything is computed."""
    names = [each.name for each in slices]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{_OWNER}: `--slice` must give every name once. Received: '{name}' twice. Name one.")
    empty = {each.key: np.zeros((0, *each.inner), each.dtype) for each in data.problem.tensors}
    _decode(data, empty, sorted({column for each in slices for column in each.columns}))


def _read_columns(data: PreparedData, split: str, wanted: Sequence[str]) -> dict[str, Decoded]:
    parts: dict[str, list[Decoded]] = {name: [] for name in wanted}
    for features in _batches(data, split):
        for name, found in _decode(data, features, wanted).items():
            parts[name].append(found)
    return {
        name: Decoded(pa.concat_arrays([part.values for part in found]), found[0].known, found[0].boundaries)
        for name, found in parts.items()
    }


def _batches(data: PreparedData, split: str) -> Iterator[Mapping[str, np.ndarray]]:
    if not data.num_examples(split):
        yield {each.key: np.zeros((0, *each.inner), each.dtype) for each in data.problem.tensors}
        return
    for features, _, _ in data.split(split, _BATCH).as_numpy_iterator():
        yield features


def _decode(data: PreparedData, features: Mapping[str, np.ndarray], wanted: Sequence[str]) -> dict[str, Decoded]:
    """The wanted columns of a batch; by the feature's name, or by that of its only column in the log."""
    found: dict[str, Decoded] = {}
    hidden = []
    for feature in data.problem.features:
        decoded = behavior_of(feature, data.problem).decode(features, data.statistics)
        found |= decoded
        if not decoded:
            hidden.append(feature.name)
        elif len(feature.columns) == 1 and feature.name in decoded:
            found.setdefault(feature.columns[0], decoded[feature.name])
    for name in wanted:
        if name in hidden:
            raise ValueError(
                f"{_OWNER}: `--slice` must name columns whose values the records tell. Received: '{name}', which is "
                f"hashed or a list. Columns: {list(found)}."
            )
        if name not in found:
            raise ValueError(
                f"{_OWNER}: `--slice` must name columns of the problem. Received: '{name}'."
                f"{did_you_mean(name, found)} Columns: {list(found)}."
            )
    return {name: found[name] for name in wanted}


def _check_clause(clause: Clause, column: Decoded) -> None:
    """Raises where records do not tell what a comparison asks."""
    name, values = clause.column, clause.value if isinstance(clause.value, tuple) else (clause.value,)
    if clause.reads_text and column.known is None:
        raise ValueError(
            f"{_OWNER}: `--slice` must compare '{name}', a number, with numbers. Received: {values[0]!r}. Remove the "
            "quotes."
        )
    if column.known is not None:
        for value in values:
            is_there = value in column.known if isinstance(value, str) else value in map(_number, column.known)
            if clause.operator in ("==", "!=", "in") and not is_there:
                shown = list(column.known[:MOST_VALUES])
                raise ValueError(
                    f"{_OWNER}: `--slice` must compare '{name}' with values of its vocabulary. Received: {value!r}."
                    f"{did_you_mean(str(value), column.known)} The most frequent: {shown}."
                )
    if column.boundaries is not None:
        known = np.asarray(column.boundaries, np.float32)
        if clause.operator not in ("<", ">=") or np.float32(values[0]) not in known:
            near = known[np.argsort(np.abs(known - np.float32(values[0])))[:3]].tolist()
            raise ValueError(
                f"{_OWNER}: `--slice` must compare '{name}', of which records hold buckets, by < or >= with a boundary "
                f"of them. Received: '{name} {clause.operator} {values[0]!r}'. Boundaries near it: {sorted(near)}."
            )


def _parts(column: Decoded) -> dict[str, npt.NDArray[np.bool_]]:
    values = column.values
    if column.known is None and len(values.unique()) > MOST_VALUES:
        return _ranges(np.asarray(values.to_numpy(zero_copy_only=False), np.float64))
    counted = sorted(
        ((each["values"], each["counts"]) for each in pc.value_counts(values).to_pylist()),
        key=lambda pair: (-pair[1], str(pair[0])),
    )
    present = [value for value, _ in counted if value is not None]
    shown = present if len(present) <= MOST_VALUES + 1 else present[:MOST_VALUES]
    found = {_shown(value): np.asarray(pc.fill_null(pc.equal(values, value), False)) for value in shown}
    if len(shown) < len(present):
        rest = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, pa.array(shown, values.type))))
        found[_OTHERS] = np.asarray(rest)
    missing = np.asarray(pc.is_null(values))
    return found | ({_MISSING: missing} if missing.any() else {})


def _ranges(numbers: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.bool_]]:
    """Four ranges of about as many rows each."""
    known = numbers[~np.isnan(numbers)]
    inner = sorted(set(np.quantile(known, [0.25, 0.5, 0.75], method="higher").tolist()) - {known.min()})
    edges = [-np.inf, *inner, np.inf]
    found = {}
    for low, high in pairwise(edges):
        if np.isinf(low):
            name = f"below {high:.6g}"
        else:
            name = f"from {low:.6g}" if np.isinf(high) else f"{low:.6g} to below {high:.6g}"
        found[name] = (numbers >= low) & (numbers < high)
    missing = np.isnan(numbers)
    return found | ({_MISSING: missing} if missing.any() else {})


def _shown(value: str | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
