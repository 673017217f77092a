"""How the files of one log store their columns: types that cannot be read, and files that disagree."""

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from tfmtl.values.plain_arrow import is_list, is_text, storage_type, why_unreadable


def unreadable_columns(schema: pa.Schema, columns: Mapping[str, str]) -> list[str]:
    """One sentence for every column that no value can be read from.

    Args:
        schema: of a file.
        columns: column -> the place in the problem file that names it.
    """
    reasons = {column: why_unreadable(schema.field(column).type) for column in columns}
    return [f"column '{column}' ({columns[column]}) {reason}" for column, reason in reasons.items() if reason]


def disagreements(
    schemas: Sequence[tuple[str, pa.Schema]], columns: Sequence[str], numbers: Collection[str] = ()
) -> list[str]:
    """One warning for every column that two files store as different kinds of values.

    Widths do not count, nor do columns without any value. What the kinds have in common is read alike: a whole number
    has one spelling whatever type stores it.

    Args:
        schemas: path and schema of the files that have types.
        columns: the columns to compare.
        numbers: those of which only the value of a number matters: with or without a fraction is alike.
    """
    warnings = []
    for column in columns:
        found: dict[str, str] = {}
        for path, schema in schemas:
            kind = _kind(schema.field(column).type)
            if kind is not None:
                found.setdefault(kind, f"{schema.field(column).type} in '{path}'")
        if len(found) > 1 and not (column in numbers and found.keys() <= {_WHOLE, _FRACTION, _BOOL}):
            advice = next((text for kinds, text in _ADVICE if kinds <= found.keys()), _OTHERWISE)
            warnings.append(f"files disagree on column '{column}': {', '.join(found.values())}. {advice}")
    return warnings


_WHOLE, _FRACTION, _BOOL, _TEXT = "whole numbers", "numbers with a fraction", "bools", "text"
_ZONED, _ZONELESS = "times with a zone", "times without a zone"
_ADVICE: tuple[tuple[set[str], str], ...] = (
    (
        {_WHOLE, _FRACTION},
        "Whole numbers are spelled alike in both, but a double is exact up to 2**53 only, a float up to 2**24.",
    ),
    ({_ZONED, _ZONELESS}, "Times without a zone are taken for UTC: check that they are."),
    ({_BOOL, _TEXT}, "A bool is read as 1 or 0 and text as it stands, so that True and 1 are two values."),
)
_OTHERWISE = "Check that values of one meaning are spelled alike, or write the files with one type."


def _kind(stored: pa.DataType) -> str | None:
    kind = storage_type(stored)
    if is_list(kind):
        inner = _kind(kind.value_type)
        return f"lists of {inner}" if inner else None
    if pa.types.is_null(kind):
        return None
    if pa.types.is_timestamp(kind):
        return _ZONED if kind.tz else _ZONELESS
    for is_kind, name in (
        (is_text, _TEXT),
        (pa.types.is_boolean, _BOOL),
        (pa.types.is_integer, _WHOLE),
        (pa.types.is_floating, _FRACTION),
        (pa.types.is_decimal, _FRACTION),
        (pa.types.is_date, "dates"),
    ):
        if is_kind(kind):
            return name
    return str(kind)
