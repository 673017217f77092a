"""Propose rates: the mean labels that users and items had before."""

from collections.abc import Sequence
from typing import Any

from tfmtl.proposal.entry import Entry

_MOST_TASKS = 6
_DAYS = 1


def guess_rates(
    features: Sequence[Entry], tasks: Sequence[Entry], names: Sequence[str | None], has_time: bool
) -> list[Entry]:
    """A rate of every task of yes/no or numbers for user and item, as far as they are features with one value.

    Args:
        features: proposed ones.
        tasks: proposed ones.
        names: of the user's and the item's feature.
        has_time: whether the problem has a time: then a label counts as known a day later.
    """
    taken = {entry.name for entry in features}
    single = {entry.name for entry in features if entry.names_one}
    rated = [entry.name for entry in tasks if entry.has_rates]
    found = []
    for name in dict.fromkeys(name for name in names if name in single):
        for task in rated[:_MOST_TASKS]:
            rate: dict[str, Any] = {"kind": "rate", "of": name, "task": task, "enters": "once"}
            why = "mean label before; of the other folds in training"
            if has_time:
                rate["known_after"] = _DAYS
                why = "mean label on earlier days, if known a day later: raise known_after if it comes later"
            if f"{name}_{task}_rate" in taken:
                rate["name"] = f"{name}_{task}_rate_before"
            found.append(Entry(rate, why))
    return found
