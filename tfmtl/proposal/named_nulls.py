"""Find the texts in a sample that mean missing."""

from collections.abc import Mapping

from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.sample import Sample
from tfmtl.schema.reserved import LIKELY_MISSING, MAYBE_MISSING

_FREQUENT = 0.01  # of a column's values


def look_at(sample: Sample) -> tuple[dict[str, ColumnProfile], list[str]]:
    """The columns, and the texts in them that usually mean missing, which are taken for it."""

    def look(missing: tuple[str, ...]) -> dict[str, ColumnProfile]:
        rows = sample.rows
        return {name: ColumnProfile(name, rows.column(name), sample.total_rows, missing) for name in rows.column_names}

    profiles = look(())
    texts = {text for column in profiles.values() if not column.is_list for text in column.counts[0].tolist()}
    missing = [text for text in LIKELY_MISSING if text in texts]
    return (look(tuple(missing)) if missing else profiles), missing


def maybe_missing(columns: Mapping[str, ColumnProfile]) -> list[str]:
    """A note for every column with a frequent text that may mean missing or be a value."""
    notes = []
    for name, column in columns.items():
        values, counts = column.counts
        found = [
            f"'{text}' ({count / max(column.num_present, 1):.0%})"
            for text, count in zip(values.tolist(), counts.tolist(), strict=True)
            if text in MAYBE_MISSING and count >= _FREQUENT * column.num_present
        ]
        if found and not column.is_list:
            notes.append(f"column '{name}' holds {', '.join(found)}: if that means missing, add it to `missing`")
    return notes
