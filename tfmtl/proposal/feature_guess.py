"""Guess the kind and the options of a feature from its values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tfmtl.proposal import roles
from tfmtl.proposal.column_profile import ColumnProfile, determined_by
from tfmtl.proposal.entry import Entry
from tfmtl.proposal.labels_by_value import label_that_differs
from tfmtl.schema.registry import FEATURES
from tfmtl.schema.shown import shown_short
from tfmtl.values.plain_arrow import why_unreadable

_FEW_VALUES = 20  # whole numbers with no more distinct values are names
_MOST_CATEGORIES = 1_000  # of whole numbers that are named like categories


def why_left_out(column: ColumnProfile) -> str | None:
    """Why a column is no feature, whatever it means, or `None`."""
    if column.is_record:
        return f"{why_unreadable(column.column.type)}"
    if not column.num_present:
        return "has no value in the sample"
    if column.distinct == 1 and column.missing == 0:
        return f"is always {shown_short(column.most_frequent[0])}"
    if column.is_timestamp or roles.is_calendar_day(column) or roles.is_iso_time(column):
        return "is a date or time: later ones never occur in training. Derive the hour or the weekday instead"
    if roles.is_time_name(column) and roles.time_unit(column):
        return "is another time: later ones never occur in training. Derive the time since instead"
    if roles.is_future_fact(column):
        return "says, by its name, what comes later: known only after the example. Make it a feature only if it is not"
    if column.has_decimal_commas:
        return "holds numbers with a decimal comma: write them with a point"
    if roles.is_row_number(column) and not column.is_prose:
        return "is another in every row: it names the row and says nothing of other ones"
    return None


def guess_feature(
    column: ColumnProfile,
    name: str,
    side: str,
    is_key: bool = False,
    labels: Sequence[ColumnProfile] = (),
    owners: ColumnProfile | None = None,
) -> Entry:
    """The feature `name` that reads `column`; the reason says what was seen.

    Numbers are names in a key, where the column is called so, or where the labels differ from one to the next in the
    rows of other owners: users or items. What a kind reads, and how well, its own record says (`FeatureRecord.guess`).
    """
    if why := _why_names(column, is_key, labels, owners):
        column = replace(column, why_names=why)
    guesses = [(guess, kind) for kind in FEATURES.names if (guess := FEATURES.record(kind, "").guess(column))]
    guess, kind = max(guesses, key=lambda pair: pair[0].rank)
    about = {"side": side} if side != "context" else {}
    about |= {"column": column.name} if name != column.name else {}
    return Entry({"kind": kind, "name": name, **guess.options, **about}, guess.why)


def side_of(columns: Mapping[str, ColumnProfile], column: ColumnProfile, user: str | None, item: str | None) -> str:
    """Whose fact it is: a column that has one value for each user is the user's."""
    if column.name in (user, item):
        return "user" if column.name == user else "item"
    if column.is_list:
        return "context"
    for key, side in ((user, "user"), (item, "item")):
        if key is not None and determined_by(columns[key], column):
            return side
    return "context"


def _why_names(
    column: ColumnProfile, is_key: bool, labels: Sequence[ColumnProfile], owners: ColumnProfile | None
) -> str | None:
    """Why the numbers of a column are names, or `None` if they are none."""
    if column.numbers is None:
        return None
    if is_key:
        return f"a key, whose numbers are names, {column.distinct_text}"
    if roles.is_id(column) and column.is_integer:
        return f"whole numbers, named like an id, {column.distinct_text}"
    few = column.is_integer and column.distinct <= _FEW_VALUES
    if few or (roles.is_category_name(column) and column.is_integer and column.distinct <= _MOST_CATEGORIES):
        return f"few whole numbers ({column.distinct_text})"
    if column.is_integer and (label := label_that_differs(column, labels, owners)):
        return f"whole numbers, but {label} differs from one to the next as between names, {column.distinct_text}"
    return None
