"""Guess the role of a column: key, outcome, feature, or none."""

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from tfmtl.preprocessing.fitting.time_units import FIRST_YEAR, LAST_YEAR, TICKS, are_plausible
from tfmtl.proposal.column_profile import ColumnProfile

_USERS = ("user", "userid", "uid", "visitor", "visitorid", "member", "customer", "account", "client", "viewer", "nick")
_ITEMS = (
    "item itemid video videoid movie movieid product productid sku article news song track ad adgroup goods photo "
    "business book poi listing"
).split()
_IDS = ("id", "ids", "code", "no", "key", "uuid", "hash", "zip", "zipcode", "md5")
_TIMES = ("timestamp", "time", "ts", "datetime", "date", "created", "clock", "when")
_OUTCOMES = (
    "label target click clicked clk conversion converted buy bought purchase purchased order ordered pay paid cart "
    "carted like liked love follow followed comment commented share shared forward forwarded hate dislike fav "
    "favorite favourite install event churn churned default event response view viewed install read finish finished"
).split()
_AMOUNTS = "rating stars score watch watched listen listened play dwell stay revenue gmv spend spent".split()
_ROW_NAMES = ("index", "row", "rowid", "rownum", "pid", "sample", "unnamed", "idx")
_CATEGORIES = ("hour", "weekday", "day", "month", "dow", "level", "type", "tab", "group", "segment", "category", "cate")

# Year first or last; points also join versions and addresses, so beside them the year has all its digits.
_DATE = re.compile(r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/])\d{1,2}\3\d{2,4}|\d{1,2}\.\d{1,2}\.\d{4})(?!\d)")

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]|$)")
_FUTURE = "next until till remaining future later following eventual eventually lifetime ltv outcome".split()
_SPANS = ("time", "times", "days", "day", "hours", "hour", "minutes", "seconds", "secs", "gap", "steps")

SPLIT_WORDS = {"train", "valid", "test"}


def find_user(columns: Mapping[str, ColumnProfile]) -> str | None:
    """The column of the user: one of the usual names, the one with the most distinct values of several."""
    return _by_name(columns, _USERS)


def find_item(columns: Mapping[str, ColumnProfile]) -> str | None:
    """The column of what is shown, likewise."""
    return _by_name(columns, _ITEMS)


def _by_name(columns: Mapping[str, ColumnProfile], names: Sequence[str]) -> str | None:
    found = []
    for name, column in columns.items():
        head = "".join(column.words)
        is_key = head in names or (len(column.words) > 1 and column.words[-2] in names and column.words[-1] in _IDS)
        if is_key and not column.is_list and column.distinct > 2 and not _has_fractions(column):
            found.append((column.distinct, name))
    return max(found)[1] if found else None


def _has_fractions(column: ColumnProfile) -> bool:
    return column.numbers is not None and not column.is_integer


def time_unit(column: ColumnProfile) -> str | None:
    """The unit in which nearly all values are times between 1980 and 2100, if there is one."""
    if column.is_timestamp:
        return "s" if str(column.column.type).startswith("date") else "ms"
    if is_readable_time(column):
        return "s"
    numbers = column.present_numbers
    if not len(numbers):
        return None
    return next((unit for unit in TICKS if np.mean(are_plausible(numbers, unit)) >= 0.99), None)


def days_spanned(column: ColumnProfile) -> float:
    """How many days lie between the first and the last of a column's times; 0 if it holds none."""
    unit = time_unit(column)
    if unit is None:
        return 0.0
    if column.numbers is not None:
        return float(np.ptp(column.present_numbers)) / TICKS[unit] / 86_400
    ends = pc.min_max(pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(column.text), 0, len("2000-01-31"))).as_py()
    return float((np.datetime64(ends["max"]) - np.datetime64(ends["min"])) / np.timedelta64(1, "D"))


def is_time_name(column: ColumnProfile) -> bool:
    """Whether the name says when."""
    return any(word in _TIMES for word in column.words) or "".join(column.words).endswith(("timestamp", "time"))


def find_time(columns: Mapping[str, ColumnProfile], user: str | None) -> str | None:
    """The column of the time: named so, and times that preprocessing reads; the finest of several.

    Where no column holds points in time, numbers named so that hardly ever fall from a user's row to the next are
    seconds from some start.
    """
    named = {name: each for name, each in columns.items() if is_time_name(each) and each.missing < 0.01}
    found = [(each.distinct, name) for name, each in named.items() if time_unit(each)]
    if not found and user is not None:
        found = [(each.distinct, name) for name, each in named.items() if _rises(each, columns[user])]
    return max(found)[1] if found else None


def _rises(column: ColumnProfile, users: ColumnProfile) -> bool:
    """Whether numbers rise through the rows of each user, in the order of the log: a span of time would not."""
    if column.numbers is None or column.distinct < 20:
        return False
    order = np.argsort(users.codes, kind="stable")
    steps = np.diff(column.numbers[order])[np.diff(users.codes[order]) == 0]
    return len(steps) >= 20 and bool(np.mean(steps >= 0) >= 0.99) and bool(np.mean(steps > 0) >= 0.5)


def is_iso_time(column: ColumnProfile) -> bool:
    """Whether the column holds dates or times written as text."""
    if column.numbers is not None or column.is_list or column.is_record or not column.num_present:
        return False
    values = column.counts[0][:200].tolist()
    return sum(_looks_like_date(value) for value in values) >= 0.95 * len(values)


def is_readable_time(column: ColumnProfile) -> bool:
    """Whether the column holds ISO dates or times as text, which preprocessing reads."""
    if column.numbers is not None or column.is_list or column.is_record or not column.num_present:
        return False
    values = column.counts[0][:200].tolist()
    return sum(_ISO.match(value) is not None for value in values) >= 0.99 * len(values)


def is_future_fact(column: ColumnProfile) -> bool:
    """Whether the name says what comes after the row: time to the next event, what is left, what became of it."""
    words = column.words
    spans = any(first in _SPANS and second in ("to", "till") for first, second in itertools.pairwise(words))
    return spans or any(word in _FUTURE for word in words)


def is_time_to_next(column: ColumnProfile, users: ColumnProfile, times: ColumnProfile) -> bool:
    """Whether the numbers are the time until the user's next row, in whatever unit; in a whole log only."""
    moments, numbers = times.numbers, column.numbers
    if moments is None or numbers is None or column.distinct < 3 or column.total_rows > len(moments):
        return False
    order = np.lexsort((moments, users.codes))
    same_user = users.codes[order][1:] == users.codes[order][:-1]
    gaps, found = np.diff(moments[order])[same_user], numbers[order][:-1][same_user]
    known = np.isfinite(found) & np.isfinite(gaps) & (gaps > 0)
    if known.sum() < 20:
        return False
    ratios = found[known] / gaps[known]
    middle = float(np.median(ratios))
    return middle > 0.0 and float(np.mean(np.abs(ratios - middle) <= 0.01 * middle)) >= 0.95


def _looks_like_date(text: str) -> bool:
    return _DATE.match(text) is not None


def is_calendar_day(column: ColumnProfile) -> bool:
    """Whether the numbers read as YYYYMMDD."""
    numbers = column.present_numbers
    if not column.is_integer or numbers.min() < FIRST_YEAR * 10_000 or numbers.max() > LAST_YEAR * 10_000:
        return False
    return bool(np.all((numbers % 100 >= 1) & (numbers % 100 <= 31) & (numbers // 100 % 100 <= 12)))


def is_outcome(column: ColumnProfile) -> bool:
    """Whether the name says that the values are known only after the example: a click, a rating, a play time."""
    if column.is_binary:
        return column.words[:1] == ("is",) or any(word in _OUTCOMES for word in column.words)
    if column.numbers is None:
        return False
    # A time that is no point in time is how long it took until something happened.
    is_duration = column.words in (("time",), ("duration",), ("futime",), ("tte",)) and time_unit(column) is None
    return is_duration or any(word in _AMOUNTS for word in column.words)


def is_id(column: ColumnProfile) -> bool:
    """Whether the name says that numbers are names."""
    joined = "".join(column.words)
    return any(word in _IDS for word in column.words) or joined.endswith("id") or column.words[-1:] == ("postcode",)


def is_category_name(column: ColumnProfile) -> bool:
    """Whether the name is that of a kind or a part of the calendar."""
    return any(word in _CATEGORIES for word in column.words)


def is_row_number(column: ColumnProfile) -> bool:
    """Whether every row has a different text, or the name or the order shows that the column counts rows."""
    if column.distinct < len(column.codes) or len(column.codes) < 20 or column.is_list:
        return False
    numbers = column.present_numbers
    rises = column.is_integer and len(numbers) == len(column.codes) and bool(np.all(np.diff(numbers) > 0))
    is_text = column.numbers is None and column.total_rows <= len(column.codes)  # in a sample it might recur later
    return (rises and not is_time_name(column)) or is_text or any(word in _ROW_NAMES for word in column.words)
