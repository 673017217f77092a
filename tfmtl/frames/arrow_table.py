"""Data frames of every library as Arrow tables."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from tfmtl.preprocessing.columns import raw_columns
from tfmtl.schema import Problem
from tfmtl.schema.checks import error_text
from tfmtl.values.plain_arrow import is_coded, plain

_RULE = "be a pandas or polars DataFrame, an Arrow table or its batches, or a path or list of paths"


def paths_of(frame: Any) -> list[str] | None:
    """The paths that are given; `None` where it is no path or list of paths."""
    if isinstance(frame, str | os.PathLike):
        return [os.fspath(frame)]
    if isinstance(frame, Sequence) and frame and all(isinstance(path, str | os.PathLike) for path in frame):
        return [os.fspath(path) for path in frame]
    return None


def arrow_table(owner: str, frame: Any) -> pa.Table:
    """The rows of a data frame, in its order.

    The named levels of a pandas index become columns; an index without a name is left out.

    Args:
        owner: the caller, the first word of an error.
        frame: anything with a table's rows: pandas, polars, Arrow tables, batches and readers, and whatever else
            speaks Arrow's stream interface (`__arrow_c_stream__`).

    Raises:
        TypeError: it is nothing of these.
        ValueError: it has no row, two columns of one name, or a column whose values have no common type.
    """
    table = _named_twice(owner, _read(owner, frame))
    if table.num_rows == 0:
        raise ValueError(error_text(owner, "frame", "hold at least one row", "an empty frame", "Give a log."))
    return table


def _read(owner: str, frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if isinstance(frame, list | tuple) and frame and all(isinstance(batch, pa.RecordBatch) for batch in frame):
        return pa.Table.from_batches(frame)
    if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
        return _from_pandas(owner, frame)
    if hasattr(frame, "__arrow_c_stream__") and not hasattr(frame, "to_frame"):  # a column alone is no table
        return pa.table(frame)
    advice = "Call .collect() on a lazy frame." if hasattr(frame, "collect") else "Build a DataFrame of your log."
    raise TypeError(error_text(owner, "frame", _RULE, frame, advice))


def _from_pandas(owner: str, frame: Any) -> pa.Table:
    named = [name for name in frame.index.names if name is not None]
    if named:
        taken = [name for name in named if name in frame.columns]
        if taken:
            raise ValueError(
                error_text(
                    owner, "frame", "have an index of other names than its columns", taken, "Rename one of both."
                )
            )
        frame = frame.reset_index(level=named)
    unnamed = [name for name in frame.columns if not isinstance(name, str)]
    if unnamed:
        advice = "Rename them: frame.rename(columns=str)."
        raise ValueError(error_text(owner, "frame", "have text as names of its columns", unnamed, advice))
    if not frame.columns.is_unique:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise ValueError(error_text(owner, "frame", "have no two columns of one name", twice, "Rename one of both."))
    columns = {}
    for name in frame.columns:
        try:
            columns[name] = pa.Array.from_pandas(frame[name])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            kinds = sorted({type(value).__name__ for value in frame[name]})
            rule = f"have one type in column {name!r}"
            advice = f"Arrow says: {str(error).splitlines()[0]}. Convert it: frame[{name!r}].astype(str)."
            raise ValueError(error_text(owner, "frame", rule, kinds, advice)) from error
    return pa.table(columns)


def storable(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The columns in types that Parquet can store; all that there are where one is missing, for an error that says so.

    Args:
        table: of any types.
        columns: what will be read.
    """
    if set(columns) <= set(table.column_names):
        table = table.select(list(columns))
    return pa.table({name: _storable(table.column(name)) for name in table.column_names})


def _storable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if is_coded(kind) and (pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)):
        return column
    return pa.chunked_array([plain(chunk) for chunk in column.chunks])


def _named_twice(owner: str, table: pa.Table) -> pa.Table:
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise ValueError(error_text(owner, "frame", "have no two columns of one name", twice, "Rename one of both."))
    return table


def as_files(owner: str, frame: Any, problem: Problem, folder: Path) -> list[str]:
    """The paths that are given, or that of a Parquet file in `folder` with what the problem reads of a frame.

    A file has all that reading checks, and bounds its memory.

    Args:
        owner: the caller, the first word of an error.
        frame: paths, or what `arrow_table` takes.
        problem: `Problem`.
        folder: an empty one.
    """
    if (paths := paths_of(frame)) is not None:
        return paths
    path = folder / f"{shown_name(frame)}.parquet"
    parquet.write_table(storable(arrow_table(owner, frame), raw_columns(problem)), path, compression="lz4")
    return [str(path)]


def shown_name(frame: Any) -> str:
    """What output and errors call a frame, which has no path."""
    return Path(type(frame).__qualname__).name
