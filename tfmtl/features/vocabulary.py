"""Vocabularies from counts: the most frequent values first, and new ones behind those of an earlier day."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.features.feature_behavior import FeatureState

LINE_BREAK = "[\r\n]"

Counted = list[tuple[str, int]]
"""Values and how often each occurs."""


def count_table(values: pa.Array, counts: pa.Array) -> pa.Table:
    """What a batch adds to the counts of values."""
    return pa.table({"value": values, "count": counts})


def ranked(counts: pa.Table | None, min_count: int) -> Counted:
    """Values frequent enough and their counts, most frequent first, equal counts in text order."""
    if counts is None:
        return []
    # A vocabulary is a file with a value per line: values with a line break stay out of vocabulary.
    frequent = pc.greater_equal(counts["count"], min_count)
    known = counts.filter(pc.and_(frequent, pc.invert(pc.match_substring_regex(counts["value"], LINE_BREAK))))
    known = known.sort_by([("count", "descending"), ("value", "ascending")])
    return list(zip(known["value"].to_pylist(), known["count"].to_pylist(), strict=True))


def extended(values: Sequence[str], counts: Sequence[int], new: Counted, max_size: int | None) -> Counted:
    """The known values, which are never removed, and behind them new ones until there are `max_size`."""
    known = list(zip(values, counts, strict=True))
    names = set(values)
    added = [pair for pair in new if pair[0] not in names]
    return [*known, *(added if max_size is None else added[: max(0, max_size - len(known))])]


def vocabulary_state(table: str, counted: Counted) -> FeatureState:
    """The fitted state of one table."""
    values, counts = tuple(value for value, _ in counted), tuple(count for _, count in counted)
    return FeatureState(vocabularies={table: values}, vocabulary_counts={table: counts})
