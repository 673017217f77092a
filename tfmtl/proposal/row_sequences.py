"""Guess which list columns are one history, logged with the row."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.proposal import roles
from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.entry import Entry

_SHARED = 0.2  # of a list's different values, from which it is taken for a list of another column's
_FEWEST_LISTS = 2  # a lone list may be anything
_HISTORY = 50


def guess_row_sequences(
    columns: Mapping[str, ColumnProfile], names: Mapping[str, str], item: str, time: str | None, features: list[str]
) -> list[tuple[Entry, list[str]]]:
    """A sequence of source `row`, and its list columns, for lists that are equally long in every row.

    One of them has to hold values of the item's column. The others are kept where they hold values of another feature,
    or times in the unit of the row's.

    Args:
        columns: column -> profile.
        names: column -> the name of its feature.
        item: the column of what is shown.
        time: the column of the time, if there is one.
        features: columns of the features that have one name a row.
    """
    found = []
    for lists in _equally_long(columns):
        own = {column: _source(columns[column], columns, [item, *features]) for column in lists}
        pairs = {source: column for column, source in reversed(own.items()) if source is not None}
        if item not in pairs:
            continue
        read = [item, *(source for source in features if source in pairs and source != item)]
        times = [
            column for column in lists if own[column] is None and time and _is_time(columns[column], columns[time])
        ]
        values = {
            "name": f"past_{names[pairs[item]]}",
            "columns": [names[source] for source in read],
            "source": "row",
            "lists": [pairs[source] for source in read],
            **({"times": times[0]} if times else {}),
            "max_length": _HISTORY,
        }
        used = [*(pairs[source] for source in read), *times[:1]]
        found.append((Entry(values, f"{', '.join(used)} are lists, equally long in every row"), used))
    return found


def _equally_long(columns: Mapping[str, ColumnProfile]) -> list[list[str]]:
    """Columns of lists that have one length in each row, and not the same one in all rows."""
    groups: dict[bytes, list[str]] = {}
    for name, column in columns.items():
        if column.is_list and column.num_present:
            lengths = pc.fill_null(pc.list_value_length(column.column), 0).to_numpy().astype(np.int64)
            if len(np.unique(lengths)) > 1:
                groups.setdefault(lengths.tobytes(), []).append(name)
    return [names for names in groups.values() if len(names) >= _FEWEST_LISTS]


def _source(column: ColumnProfile, columns: Mapping[str, ColumnProfile], candidates: list[str]) -> str | None:
    """The column with the most of a list's values, if it has enough."""
    values = pa.array(column.counts[0])
    shares = {name: float(np.mean(np.isin(values, columns[name].counts[0]))) for name in dict.fromkeys(candidates)}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= _SHARED else None


def _is_time(column: ColumnProfile, time: ColumnProfile) -> bool:
    items = pa.chunked_array([pc.list_flatten(chunk) for chunk in column.column.chunks])
    unit = roles.time_unit(ColumnProfile(column.name, items, len(items)))
    return unit is not None and unit == roles.time_unit(time)
