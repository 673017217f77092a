"""The manifest of prepared data as tables: rows, splits and label rates, unknown and missing values, warnings."""

from collections.abc import Mapping
from typing import Any

from tfmtl.display.page import DisplayTable, Page

_MOST_RATES = 12
_SHOWN_RATE = 0.005


def manifest_page(manifest: Mapping[str, Any], title: str) -> Page:
    """What was counted.

    Args:
        manifest: of prepared data.
        title: str.
    """
    rejected = manifest["rows_rejected"]
    parts: list[DisplayTable | str] = [
        f"{manifest['rows_in']:,} rows in: {manifest['rows_written']:,} written, "
        f"{manifest['rows_history_only']:,} used as history only, {sum(rejected.values()):,} rejected"
    ]
    if "rows_negative" in manifest:
        own = manifest["negatives"]
        parts.append(
            f"{manifest['rows_negative']:,} negatives beside them, from {own['retrieval']}: {own['task']} is 0"
        )
    if rejected:
        worst_first = sorted(rejected.items(), key=lambda pair: -pair[1])
        lost = [(reason, f"{count:,}", share(count / manifest["rows_in"])) for reason, count in worst_first]
        parts.append(DisplayTable(("rejected because", "rows", "share"), [lost], has_numbers=True))
    if manifest["events"]:
        events = ", ".join(f"{count:,} {name}" for name, count in manifest["events"].items())
        parts.append(f"events of the sequences: {events}")
    if "transform_from" in manifest:
        added = {table: count for table, count in manifest["transform_from"]["added_values"].items() if count}
        told = ", ".join(f"{count:,} {table}" for table, count in added.items()) or "none"
        parts.append(f"transformation of {manifest['transform_from']['folder']}; values added: {told}")
    splits = manifest["splits"]
    rows: list[tuple[str, ...]] = []
    for task in next(iter(splits.values()))["tasks"]:
        facts = [split["tasks"][task] for split in splits.values()]
        rows.append((f"mean {task}", *("" if fact["mean"] is None else f"{fact['mean']:.4f}" for fact in facts)))
        if any(fact["labels"] < split["examples"] for fact, split in zip(facts, splits.values(), strict=True)):
            rows.append((f"  labels of {task}", *(f"{fact['labels']:,}" for fact in facts)))
        if any(fact.get("undecided") for fact in facts):
            rows.append((f"  {task} still open", *(f"{fact['undecided']:,}" for fact in facts)))
    examples = [("examples", *(f"{facts['examples']:,}" for facts in splits.values()))]
    parts.append(DisplayTable(("", *splits), [examples, rows], has_numbers=True))
    return Page(title, [*parts, *_rates(splits)], manifest["warnings"])


def share(value: float) -> str:
    """A share in percent."""
    return f"{value:.1%}" if value >= _SHOWN_RATE / 10 or value == 0 else "<0.1%"


def _rates(splits: Mapping[str, Mapping[str, Any]]) -> list[DisplayTable | str]:
    """The features with most unknown or missing values; nothing where none has any worth a line."""
    rates = {
        name: [split["features"][name][rate] for rate in ("out_of_vocabulary", "missing") for split in splits.values()]
        for name in next(iter(splits.values()))["features"]
    }
    shown = sorted((name for name in rates if max(rates[name]) >= _SHOWN_RATE), key=lambda name: -max(rates[name]))
    if not shown:
        return []
    headings = ("feature", *(f"OOV {split}" for split in splits), *(f"missing {split}" for split in splits))
    rows = [(name, *map(share, rates[name])) for name in shown[:_MOST_RATES]]
    more = len(shown) - _MOST_RATES
    rest = [f"... and {more} more features with unknown or missing values"] if more > 0 else []
    return [DisplayTable(headings, [rows], has_numbers=True), *rest]
