"""Read rows, columns, DataFrames and Arrow tables as columns."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.serving_error import invalid_argument

# Neither pandas nor pyarrow is imported: what has their methods is read as theirs.
Features: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | Any


def read_columns(
    features: Features,
    check_names: Callable[[Iterable[str]], None],
    row_name: str = "row",
    known: Collection[str] | None = None,
) -> dict[str, Any]:
    """Returns feature -> values, one for each row.

    Args:
        features: a list of dicts (rows), a dict of columns, a `pandas.DataFrame`, or a `pyarrow.Table` or
            `RecordBatch`.
        check_names: raises `FeatureError` unless the names it gets are the model's.
        row_name: str. What a row is called in messages. Defaults to `"row"`.
        known: names beside which all others are left out, unread. Defaults to `None`: none is left out.

    Raises:
        FeatureError: from `check_names`; for rows it tells which.
        ServingError: `INVALID_ARGUMENT` if there is no row, or a row is no dict.
        TypeError: if `features` is none of these.
    """
    if isinstance(features, Mapping):
        columns = {name: features[name] for name in kept_names(features, known)}
    elif hasattr(features, "schema") and hasattr(features, "column"):
        names = kept_names(features.schema.names, known)
        _check_distinct(names)
        columns = {name: features.column(name) for name in names}
    elif hasattr(features, "columns") and hasattr(features, "__getitem__"):
        frame: Any = features
        names = kept_names(frame.columns, known)
        _check_distinct(names)
        columns = {name: frame[name] for name in names}
    elif isinstance(features, Sequence) and not isinstance(features, str | bytes):
        return _read_rows(features, check_names, row_name, known)
    else:
        raise TypeError(
            "predict: `features` must be a list of dicts, a dict of columns, a pandas DataFrame or a pyarrow Table. "
            f"Received: {type(features).__name__}."
        )
    check_names(columns)
    return {name: _read_column(values) for name, values in columns.items()}


def _read_rows(
    rows: Sequence[Any],
    check_names: Callable[[Iterable[str]], None],
    row_name: str,
    known: Collection[str] | None,
) -> dict[str, list[Any]]:
    if not rows:
        raise invalid_argument(f"predict: there must be at least one {row_name}. Received: an empty list.")
    checked: set[frozenset[str]] = set()
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise invalid_argument(
                f"{row_name} {number}: a {row_name} must be a dict of features. Received: {type(row).__name__}."
            )
        names = frozenset(kept_names(row, known))
        if names not in checked:
            try:
                check_names(names)
            except FeatureError as error:
                raise error.at(f"{row_name} {number}", number) from error
            checked.add(names)
    return {name: [row[name] for row in rows] for name in kept_names(rows[0], known)}


def kept_names(names: Iterable[str], known: Collection[str] | None) -> list[str]:
    """The names that are known, in their order; all of them for `None`."""
    return [name for name in names if known is None or name in known]


def _read_column(values: Any) -> Any:
    """A frame's or Arrow table's column as an array or list; anything else as it is."""
    if hasattr(values, "to_pylist"):
        from tfmtl.values.python_values import python_values  # needs pyarrow, which exists if there is such a column

        return python_values(values)
    return values.to_numpy() if hasattr(values, "to_numpy") else values


def _check_distinct(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise FeatureError(f"predict: feature {name!r} must be one column. Received: several of that name.", name)
        seen.add(name)
