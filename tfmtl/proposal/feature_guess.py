"""Guess the kind and the options of a feature from its values."""

import numpy as np

from tfmtl.proposal import roles
from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.entry import Entry
from tfmtl.schema.registry import FEATURES
from tfmtl.values.plain_arrow import why_unreadable

_FEW_VALUES = 20  # whole numbers with no more distinct values are names
_RARE_FROM, _RARER_FROM = 1_000, 100_000  # distinct values, from which single occurrences are left out of vocabulary
_HASH_FROM = 5_000_000
_HASH_BUCKETS = 1 << 20
_MOST_LIST = 50
_DEFAULT_LIST, _DEFAULT_BUCKETS = 8, 32
_MISSING = 0.01
_SKEW = 1.0
_TEXT_LENGTH, _TEXT_DISTINCT = 25, 0.5


def why_left_out(column: ColumnProfile) -> str | None:
    """Why a column is no feature, whatever it means, or `None`."""
    if column.is_record:
        return f"{why_unreadable(column.column.type)}"
    if not column.num_present:
        return "has no value in the sample"
    if column.distinct == 1 and column.missing == 0:
        return f"is always {_short(str(column.counts[0][0]))}"
    if column.is_timestamp or roles.is_calendar_day(column) or roles.is_iso_time(column):
        return "is a date or time: later ones never occur in training. Derive the hour or the weekday instead"
    if roles.is_time_name(column) and roles.time_unit(column):
        return "is another time: later ones never occur in training. Derive the time since instead"
    if roles.is_future_fact(column):
        return "says, by its name, what comes later: known only after the example. Make it a feature only if it is not"
    if column.has_decimal_commas:
        return "holds numbers with a decimal comma: write them with a point"
    if _is_prose(column):
        return "is free text: add an embedding or key words of it as columns"
    if roles.is_row_number(column):
        return "is another in every row: it names the row and says nothing of other ones"
    return None


def _is_prose(column: ColumnProfile) -> bool:
    if column.is_list or column.is_written_list or column.numbers is not None or column.separator:
        return False
    values = column.counts[0]
    lengths = np.array([len(value) for value in values[:1000].tolist()])
    has_words = np.mean([value.count(" ") >= 2 for value in values[:1000].tolist()]) > 0.5
    return bool(column.distinct > _TEXT_DISTINCT * column.num_present and has_words and lengths.mean() > _TEXT_LENGTH)


def guess_feature(column: ColumnProfile, name: str, side: str, is_key: bool = False) -> Entry:
    """The feature `name` that reads `column`; the reason says what was seen. A key's numbers are names."""
    about = {"name": name} | ({"side": side} if side != "context" else {})
    about |= {"column": column.name} if name != column.name else {}
    guesses = [(guess, kind) for kind in FEATURES.names if (guess := FEATURES.record(kind, "").guess(column))]
    if guesses:
        guess, kind = max(guesses, key=lambda pair: pair[0].rank)
        return Entry({"kind": kind, **_first(about), **guess.options, **_rest(about)}, guess.why + _missing(column))
    if column.is_list or column.is_written_list or column.separator:
        return _lists(column, about)
    if column.numbers is None:
        return _categorical(column, about, _distinct(column))
    if is_key:
        return _categorical(column, about, f"a key, whose numbers are names, {_distinct(column)}")
    if roles.is_id(column) and column.is_integer:
        return _categorical(column, about, f"whole numbers, named like an id, {_distinct(column)}")
    few = column.is_integer and column.distinct <= _FEW_VALUES
    if few or (roles.is_category_name(column) and column.is_integer and column.distinct <= _RARE_FROM):
        return _categorical(column, about, f"few whole numbers ({_distinct(column)})")
    return _numeric(column, about)


def _categorical(column: ColumnProfile, about: dict[str, str], seen: str) -> Entry:
    options: dict[str, object] = {}
    distinct = column.estimated_distinct
    if distinct > _HASH_FROM:
        options["hash_buckets"] = _HASH_BUCKETS
        seen += "; hashed, as a vocabulary would be large"
    elif distinct > _RARE_FROM:
        options["min_count"] = 5 if distinct > _RARER_FROM else 2
        seen += "; rare ones are out of vocabulary"
    return Entry({"kind": "categorical", **_first(about), **options, **_rest(about)}, seen + _missing(column))


def _lists(column: ColumnProfile, about: dict[str, str]) -> Entry:
    most = min(column.list_length(), _MOST_LIST)
    options: dict[str, object] = {"multi_valued": True}
    if column.separator not in (None, "|"):
        options["separator"] = column.separator
    if column.is_written_list:
        options["format"] = "json"
    if most != _DEFAULT_LIST:
        options["max_values"] = most
    joined = "lists" if column.is_list or column.is_written_list else f"several values joined by {column.separator!r}"
    return Entry(
        {"kind": "categorical", **_first(about), **options, **_rest(about)},
        f"{joined}, 95 % of the rows have {most} or fewer",
    )


def _numeric(column: ColumnProfile, about: dict[str, str]) -> Entry:
    numbers = column.present_numbers
    skew, log_skew = _skew(numbers), _skew(np.sign(numbers) * np.log1p(np.abs(numbers)))
    most_frequent = float(column.counts[1][0] / max(column.num_present, 1))
    shown = f"{_number(numbers.min())} to {_number(numbers.max())}"
    if column.missing > _MISSING:
        transform, why = "quantiles", "quantile buckets, in which missing has one of its own"
    elif most_frequent > 0.2:
        transform, why = "quantiles", f"{most_frequent:.0%} are {_short(str(column.counts[0][0]))}"
    elif abs(skew) <= _SKEW:
        transform, why = "z_score", f"symmetric enough (skewness {skew:.1f})"
    elif abs(log_skew) <= _SKEW:
        transform, why = "log_z_score", f"skewness {skew:.1f}, {log_skew:.1f} after the logarithm"
    else:
        transform, why = "quantiles", f"skewness {skew:.1f}, {log_skew:.1f} after the logarithm"
    options: dict[str, object] = {"transform": transform} if transform != "quantiles" else {}
    if transform == "quantiles" and column.distinct < _DEFAULT_BUCKETS:
        options["buckets"] = max(2, column.distinct)
    unreadable = (
        "; rows are rejected where it is " + ", ".join(map(_short, column.unreadable[:3])) if column.unreadable else ""
    )
    return Entry(
        {"kind": "numeric", **_first(about), **options, **_rest(about)},
        f"{shown}; {why}{_missing(column)}{unreadable}",
    )


def _skew(numbers: np.ndarray) -> float:
    deviation = numbers.std()
    return float(np.mean(((numbers - numbers.mean()) / deviation) ** 3)) if deviation > 0 else 0.0


def _first(about: dict[str, str]) -> dict[str, str]:
    return {"name": about["name"]}


def _rest(about: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in about.items() if key != "name"}


def _distinct(column: ColumnProfile) -> str:
    estimated = column.estimated_distinct
    if estimated == column.distinct:
        return f"{estimated:,} values"
    return f"{column.distinct:,} values in the sample, {float(f'{estimated:.2g}'):,.0f} or more in all"


def _missing(column: ColumnProfile) -> str:
    if column.missing <= 0:
        return ""
    return f"; {column.missing:.1%} missing" if column.missing >= 0.001 else "; under 0.1% missing"


def _number(value: float) -> str:
    return f"{value:.6g}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:27] + "...")
