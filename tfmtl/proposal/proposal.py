"""Propose a problem from guesses about columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfmtl.preprocessing.fitting.time_units import FIRST_YEAR, LAST_YEAR, TICKS
from tfmtl.proposal import roles
from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.entry import Entry
from tfmtl.proposal.feature_guess import guess_feature, side_of, why_left_out
from tfmtl.proposal.guess_rates import guess_rates
from tfmtl.proposal.named_nulls import look_at, maybe_missing
from tfmtl.proposal.plain_names import plain_names
from tfmtl.proposal.recurrence import never_comes_again
from tfmtl.proposal.row_sequences import guess_row_sequences
from tfmtl.proposal.sample import Sample
from tfmtl.schema.checks import did_you_mean, is_name

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEHAVIORS = {"behavior", "behaviour", "event", "action", "btag"}
_MOST_BEHAVIORS = 6
_ROWS_A_USER = 5  # from which a user's own embedding can be learned
_FEWEST_POSITIVE = 10
_WEEKDAY_DAYS = 28  # of a shorter log a weekday is a date, which tells what the log's first days were like
_HISTORY = 50
_OUTCOME = "(0/1 or an amount, by its name): may be a label, or known only after the example"


@dataclass
class Proposal:
    """A proposed problem with a reason for every line.

    Attributes:
        keys: `user`, `time`, `time_unit`, as far as they were found.
        key_reasons: one sentence a key.
        features, sequences, tasks: entries in the order of the file.
        derived: features that the request itself tells, behind the others.
        missing: texts that mean missing.
        histories: sequences that are right only if what their condition reads is known at the event's time.
        candidates: columns that may be labels.
        split: the entry of the split.
        left_out: column -> why it is not used.
        notes: whatever else the user should know.
    """

    keys: dict[str, str] = field(default_factory=dict)
    key_reasons: list[str] = field(default_factory=list)
    features: list[Entry] = field(default_factory=list)
    derived: list[Entry] = field(default_factory=list)
    sequences: list[Entry] = field(default_factory=list)
    tasks: list[Entry] = field(default_factory=list)
    candidates: list[Entry] = field(default_factory=list)
    histories: list[Entry] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    split: Entry = field(default_factory=lambda: Entry({}, ""))
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_dict(self, name: str) -> dict[str, Any]:
        """The mapping that `Problem.from_dict` reads."""
        result: dict[str, Any] = {"name": name}
        if self.keys:
            result["keys"] = self.keys
        result["features"] = [dict(entry.values) for entry in (*self.features, *self.derived)]
        if self.sequences:
            result["sequences"] = [dict(entry.values) for entry in self.sequences]
        result["tasks"] = [dict(entry.values) for entry in self.tasks]
        result["split"] = dict(self.split.values)
        if self.missing:
            result["missing"] = self.missing
        return result


def propose(
    sample: Sample,
    labels: Sequence[str] = (),
    user: str | None = None,
    time: str | None = None,
    item: str | None = None,
    owner: str = "schema infer",
) -> Proposal:
    """Guesses a problem.

    Args:
        sample: `Sample`.
        labels: columns to predict; without any the proposal has candidates only.
        user: column of the user; guessed if `None`, as are the next two.
        time: column of the time.
        item: column of what is shown or bought.
        owner: str. What the user called, for errors. Defaults to `"schema infer"`.

    Raises:
        ValueError: a named column does not exist or cannot be what it is named for.
    """
    profiles, missing = look_at(sample)
    named = [("label", label) for label in labels] + [("user", user), ("time", time), ("item", item)]
    for option, name in named:
        if name is not None and name not in profiles:
            raise ValueError(
                f"{owner}: `{option}` must be a column. Received: {name!r}; the columns are "
                f"{list(profiles)}.{did_you_mean(name, list(profiles))}"
            )
    for column in (profiles[label] for label in labels):
        if column.numbers is None:
            raise ValueError(
                f"{owner}: label '{column.name}' must be a column of numbers. Received: {column.distinct} values such "
                f"as {column.counts[0][:3].tolist()}. Write it as 0 and 1, or as a number."
            )
    proposal = Proposal(missing=missing)
    proposal.notes += maybe_missing(profiles)
    others = {name: column for name, column in profiles.items() if name not in labels}
    user = user or roles.find_user(others)
    time = time or roles.find_time(others, user)
    names = plain_names(list(profiles))
    if time and names[time] != time:
        raise ValueError(
            f"{owner}: the time's column must be called by letters, digits and single underscores, as every "
            f"request has it. Received: {time!r}. Rename it in the log, such as to {names[time]!r}."
        )
    item = item or roles.find_item({name: column for name, column in others.items() if name != user})
    _guess_keys(proposal, profiles, user, time)
    split_column = _guess_split(proposal, profiles)
    _guess_tasks(proposal, profiles, names, labels)
    keys = {user, time, split_column}
    taken = {*labels, *(name for name in keys if name and name != user)}
    _guess_features(proposal, profiles, names, user, item, time, taken)
    if not proposal.features:
        raise ValueError(f"{owner}: no column is left as a feature. Not used: {proposal.left_out}.")
    # The log's own histories are better than those made of its rows.
    has_histories = item is not None and _take_row_sequences(proposal, profiles, names, item, time)
    if not has_histories and not (user and time):
        proposal.notes.append("no sequences: they need a user and a time (give them as `user` and `time`)")
    elif not has_histories and item is None:
        proposal.notes.append("no sequences: no column of what is shown or bought was found (`item` names it)")
    elif not has_histories:
        _guess_sequences(proposal, profiles, names[str(item)])
    _derive(proposal, None if time is None or roles.time_unit(profiles[time]) is None else profiles[time])
    keyed = [names.get(str(key)) for key in (user, item)]
    proposal.derived += guess_rates(proposal.features, proposal.tasks, keyed, time is not None)
    return proposal


# === Keys and split ===


def _guess_keys(proposal: Proposal, columns: Mapping[str, ColumnProfile], user: str | None, time: str | None) -> None:
    if user:
        column = columns[user]
        proposal.keys["user"] = user
        rows = column.total_rows / max(column.estimated_distinct, 1)
        proposal.key_reasons.append(f"user: {column.estimated_distinct:,} users, {rows:.1f} rows each")
    else:
        proposal.key_reasons.append("no user column was found (give it as `user`)")
    if not time:
        text = [name for name, column in columns.items() if roles.is_iso_time(column)]
        why = f"; {text[0]} is a date written as text: write it as ISO text (2020-01-31) or in seconds" if text else ""
        proposal.key_reasons.append(f"no time column was found (give it as `time`){why}")
        return
    unit = roles.time_unit(columns[time])
    proposal.keys["time"] = time
    if unit not in (None, "s"):
        proposal.keys["time_unit"] = str(unit)
    if unit is None:
        proposal.key_reasons.append(
            f"time: not between {FIRST_YEAR} and {LAST_YEAR} in any unit: taken for seconds from some start"
        )
    elif roles.is_readable_time(columns[time]):
        proposal.key_reasons.append("time: ISO text, read as seconds since 1970; without a zone it is UTC")
    elif not columns[time].is_timestamp:
        low, high = (
            str(np.datetime64(int(number // TICKS[unit]), "s"))
            for number in (columns[time].present_numbers.min(), columns[time].present_numbers.max())
        )
        proposal.key_reasons.append(f"time: in {unit} the values run from {low} to {high}")


def _guess_split(proposal: Proposal, columns: Mapping[str, ColumnProfile]) -> str | None:
    found = [
        (name, {*column.counts[0].tolist()})
        for name, column in columns.items()
        if not column.is_list and {"train"} < {*column.counts[0].tolist()} <= roles.SPLIT_WORDS
    ]
    column_name, words = found[0] if found else (None, set())
    if words == roles.SPLIT_WORDS:
        proposal.split = Entry({"by": "column", "column": column_name}, "the column says train, valid or test")
        return column_name
    if column_name:
        [absent] = roles.SPLIT_WORDS - words
        proposal.notes.append(
            f"column '{column_name}' says train and so on, but never {absent}: write that into some of the rows to "
            f"use it, with split: {{by: column, column: {column_name}}}"
        )
    shares = {"valid": 0.1, "test": 0.1}
    if "time" in proposal.keys:
        proposal.split = Entry(
            {"by": "time", **shares}, "the newest rows are the test split: a model in use predicts the future"
        )
    elif "user" in proposal.keys and columns[proposal.keys["user"]].distinct >= 30:
        proposal.split = Entry({"by": "user", **shares}, "there is no time; a user's rows stay together")
    else:
        proposal.split = Entry({"by": "row", **shares}, "there is neither a time nor users enough: rows at random")
    return column_name


# === Tasks ===


def _guess_tasks(
    proposal: Proposal, columns: Mapping[str, ColumnProfile], names: Mapping[str, str], labels: Sequence[str]
) -> None:
    for label in labels:
        proposal.tasks.append(_task(columns[label], columns, names, labels))
    for name, column in columns.items():
        if name not in labels and name not in proposal.keys.values() and roles.is_outcome(column):
            proposal.candidates.append(_task(column, columns, names, ()))
    unnamed = {
        name: column.counts[0].tolist()
        for name, column in columns.items()
        if _is_behavior(column) and name not in proposal.keys.values()
    }
    for name, values in unnamed.items():
        proposal.notes.append(
            f"column '{name}' says what happened ({', '.join(values[:4])}): to predict one of these, write it as a "
            "0/1 column of the rows where it could have happened"
        )


def _task(
    column: ColumnProfile, columns: Mapping[str, ColumnProfile], names: Mapping[str, str], labels: Sequence[str]
) -> Entry:
    numbers = column.present_numbers
    name = names[column.name]
    about = {"name": name} if name == column.name else {"name": name, "label": column.name}
    if not column.is_binary:
        why = f"{numbers.min():.6g} to {numbers.max():.6g}, mean {numbers.mean():.4g}"
        return Entry({"kind": "regression", **about}, why)
    why = f"{numbers.mean():.2%} ones"
    parents = [columns[name] for name in labels if name != column.name and _is_parent(columns[name], column)]
    if parents:
        why += f"; never 1 where {parents[0].name} is 0: `parent: {names[parents[0].name]}` chains them"
    return Entry({"kind": "binary", **about}, why)


def _is_parent(parent: ColumnProfile, child: ColumnProfile) -> bool:
    if not (parent.is_binary and child.is_binary):
        return False
    above, below = parent.numbers, child.numbers
    assert above is not None and below is not None  # both are binary
    return (
        np.nansum(below) >= _FEWEST_POSITIVE
        and not np.any((below == 1) & (above == 0))
        and np.nanmean(below) < np.nanmean(above)
    )


def _label_column(entry: Entry) -> str:
    return str(entry.values.get("label", entry.name))


# === Features ===


def _guess_features(
    proposal: Proposal,
    columns: Mapping[str, ColumnProfile],
    names: Mapping[str, str],
    user: str | None,
    item: str | None,
    time: str | None,
    taken: set[str],
) -> None:
    candidates = {_label_column(entry) for entry in proposal.candidates}
    labels = [columns[_label_column(entry)] for entry in proposal.tasks]
    for name, column in columns.items():
        if name in taken:
            continue
        if name in candidates:
            proposal.left_out[name] = _OUTCOME
            continue
        if _is_behavior(column):
            proposal.left_out[name] = "says what happened: known only after the example; it sorts the histories"
            continue
        if _is_coded_behavior(column):
            proposal.left_out[name] = "may say in codes what happened: known only after the example"
            codes = column.counts[0].tolist()
            proposal.notes.append(
                f"what do the codes of column '{name}' mean ({', '.join(codes[:6])})? If they say what happened, "
                f'histories may be made of them, as in when: "{_quoted(name)} == {codes[0]}"; if they are known '
                "before, add the column as a categorical feature"
            )
            continue
        if user and time and roles.is_time_to_next(column, columns[user], columns[time]):
            proposal.left_out[name] = "is the time to the user's next row: known only after the example"
            continue
        why = why_left_out(column) if name not in (user, item) else None
        if name == user and proposal.split.values.get("by") != "time":
            why = "the user: those of the test split never occur in training"
        elif not why and name not in (user, item) and time and never_comes_again(column, columns[time]):
            why = "does not come again: nearly all of the newest rows have values that never came before"
        elif name == user and column.total_rows < _ROWS_A_USER * column.estimated_distinct:
            why = f"the user: fewer than {_ROWS_A_USER} rows each, too few to learn one by one"
        if why:
            proposal.left_out[name] = why
        else:
            side = side_of(columns, column, user, item)
            owners = columns.get((item if side == "item" else user) or "")
            found = guess_feature(column, names[name], side, name in (user, item), labels, owners)
            proposal.features.append(found)


# === Sequences ===


def _is_behavior(column: ColumnProfile) -> bool:
    named = _BEHAVIORS & set(column.words)
    return bool(named) and column.numbers is None and not column.is_list and 2 <= column.distinct <= 12


def _guess_sequences(proposal: Proposal, columns: Mapping[str, ColumnProfile], item: str) -> None:
    events = [item]
    for entry in proposal.features:
        if entry.names_one and entry.values.get("side") == "item" and entry.name not in ("time", "gap", item):
            events.append(entry.name)
    events = events[:3]
    kinds = [column for column in columns.values() if _is_behavior(column)]
    if kinds:
        for value in kinds[0].counts[0].tolist()[:_MOST_BEHAVIORS]:
            name = re.sub(r"\W+|_+", "_", value).strip("_").lower()
            if _NAME.fullmatch(name) and "'" not in value:
                when = f"{_quoted(kinds[0].name)} == '{value}'"
                proposal.sequences.append(Entry(_sequence(name, events, when), f"a behavior in {kinds[0].name}"))
        return
    proposal.sequences.append(
        Entry(_sequence("history", events, None), "all of a user's rows before the example's time")
    )
    binary = [entry for entry in (*proposal.tasks, *proposal.candidates) if entry.is_binary]
    for entry in binary[: _MOST_BEHAVIORS - 1]:
        column = _label_column(entry)
        history = _sequence(f"past_{entry.name.removeprefix('is_')}", events, f"{_quoted(column)} == 1")
        proposal.histories.append(Entry(history, f"of these, the rows with {column}"))


def _take_row_sequences(
    proposal: Proposal, columns: Mapping[str, ColumnProfile], names: Mapping[str, str], item: str, time: str | None
) -> bool:
    """Proposes the histories that rows hold themselves; their lists are no features then."""
    sources = {name: column for column, name in names.items()}
    single = [sources[entry.name] for entry in proposal.features if entry.names_one]
    if item not in single:
        return False
    for entry, used in guess_row_sequences(columns, names, item, time, single):
        proposal.sequences.append(entry)
        taken = [names[column] for column in used]
        proposal.features = [each for each in proposal.features if each.name not in taken]
        proposal.left_out |= dict.fromkeys(used, f"is read by the sequence {entry.name}")
    return bool(proposal.sequences)


def _derive(proposal: Proposal, calendar: ColumnProfile | None) -> None:
    """Counts and matches of every sequence, and hour and weekday of the column of times, if it counts from 1970."""
    taken = {entry.name for entry in proposal.features}
    for entry in proposal.sequences:
        own = {"name": f"{entry.name}_history"} if entry.name in taken else {}
        history = {"kind": "history", "of": entry.name, **own, "enters": "once"}
        match = {"kind": "match", "of": entry.name, "on": list(entry.values["columns"]), "enters": "once"}
        proposal.derived.append(Entry(history, "how many events, and how long ago"))
        proposal.derived.append(Entry(match, "events with the same value: how many, and how long ago"))
    if calendar is not None:
        days = roles.days_spanned(calendar)
        parts = ["hour", "weekday"] if days >= _WEEKDAY_DAYS else ["hour"]
        why = "of the request, in UTC unless time_zone names another"
        if len(parts) == 1:
            why += f"; no weekday: in {days:.0f} days each comes too seldom to tell it from the date"
        proposal.derived.append(Entry({"kind": "time_part", "part": parts}, why))


def _quoted(column: str) -> str:
    """A column as a condition names it."""
    return column if is_name(column) else f"`{column}`"


def _is_coded_behavior(column: ColumnProfile) -> bool:
    named = _BEHAVIORS & set(column.words)
    return bool(named) and column.is_integer and not column.is_binary and 2 <= column.distinct <= 12


def _sequence(name: str, columns: Sequence[str], when: str | None) -> dict[str, Any]:
    condition = {"when": when} if when else {}
    return {"name": name, "columns": list(columns), **condition, "max_length": _HISTORY}
