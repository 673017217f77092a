"""Printing results as tables on the screen."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfmtl.pipelines.cli.small_classes import small_class_note

console = Console(soft_wrap=True, highlight=False)

# Metric -> heading; in the order of the columns.
_HEADINGS = {
    "auc": "AUC",
    "gauc": "GAUC",
    "log_loss": "log loss",
    "normalized_entropy": "NE",
    "ece": "ECE",
    "ece_calibrated": "ECE calibrated",
    "rmse": "RMSE",
    "mae": "MAE",
    "macro_auc": "macro AUC",
    "accuracy": "accuracy",
    "pinball": "pinball",
    "normalized_gini": "Gini",
    "harrell": "Harrell c",
    "antolini": "Antolini c",
    "uno": "Uno c",
    "ibs": "IBS",
    "nll": "NLL",
    "d_calibration_p": "D-calibration p",
}


def print_metrics(console: Console, reports: Mapping[str, Mapping[str, Mapping[str, Any]]], title: str) -> None:
    """One table per kind of task: a row per task and model, for a constant and for trees; a column per metric.

    Args:
        console: where to print.
        reports: model -> task -> metric -> value, as `tfmtl.training.evaluate` returns it.
        title: str.
    """
    tasks = next(iter(reports.values()))
    kinds: dict[tuple[str, ...], list[str]] = {}
    for task, metrics in tasks.items():
        kinds.setdefault(tuple(name for name in _HEADINGS if name in metrics), []).append(task)
    console.print(f"[bold]{title}[/bold]")
    for shown, members in kinds.items():
        table = Table("task", "model", *[_HEADINGS[name] for name in shown])
        for task in members:
            for model, report in reports.items():
                table.add_row(task, model, *[_number(report[task][name]) for name in shown])
            if "baseline" in tasks[task]:
                table.add_row(task, "a constant", *[_number(tasks[task]["baseline"].get(name)) for name in shown])
            for model, found in tasks[task].get("plain_models", {}).items():
                table.add_row(task, model, *[_number(found[name]) if name in found else "" for name in shown])
            for name, found in tasks[task].get("scores", {}).items():
                table.add_row(task, name, *[_number(found[each]) if each in found else "" for each in shown])
            table.add_section()
        console.print(table)
    for task, metrics in tasks.items():
        if metrics.get("gauc_groups"):
            skipped = metrics["gauc_groups_skipped"]
            left_out = f"; {skipped} groups with labels of one class only are left out" if skipped else ""
            console.print(f"GAUC of {task}: over {metrics['gauc_groups']} groups{left_out}")
        note = small_class_note(task, metrics)
        if note is not None:
            console.print(f"[yellow]{escape(note)}[/yellow]")
    for task in tasks:
        worse = [model for model, report in reports.items() if (report[task].get("normalized_entropy") or 0.0) > 1.0]
        if worse:
            console.print(
                f"[yellow]NE of {task} is above 1[/yellow] ({escape(', '.join(worse))}): its log loss is worse than "
                "that of the mean label. Calibrate it, or train for fewer epochs or at a lower learning rate."
            )


def print_calibration(console: Console, report: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints the effect of calibration: a row per task and split.

    Args:
        console: where to print.
        report: as `tfmtl.export.calibration.calibrate.calibration_report` returns it.
    """
    table = Table("task", "method", "split", "ECE before", "after", "log loss before", "after")
    for task, facts in report.items():
        for split in ("valid", "test"):
            if split in facts:
                names = ("ece", "ece_calibrated", "log_loss", "log_loss_calibrated")
                table.add_row(task, facts["method"], split, *[_number(facts[split][name]) for name in names])
    console.print(table)


def print_batches(console: Console, times: Mapping[int, float]) -> None:
    """Prints batch times: a row per size.

    Args:
        console: where to print.
        times: rows -> milliseconds.
    """
    table = Table("rows", "ms", "rows/s")
    for size, milliseconds in times.items():
        table.add_row(str(size), f"{milliseconds:.2f}", f"{1000.0 * size / milliseconds:,.0f}")
    console.print(table)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def print_recalls(console: Console, record: Mapping[str, Any]) -> None:
    """Prints the recall of a retrieval index, next to that of the most popular items.

    Args:
        console: where to print.
        record: `retrieval.json` of the index.
    """
    ks = [name for name in next(iter(next(iter(record["recall"].values())).values())) if name.startswith("recall@")]
    table = _table("split", "index", *ks)
    for split, found in record["recall"].items():
        for name, recalls in found.items():
            table.add_row(split, _INDEXES[name], *[_number(recalls[k]) for k in ks])
        table.add_section()
    console.print(table)
    for split, found in record["recall"].items():
        facts = next(iter(found.values()))
        if facts["positives"]:
            console.print(
                f"{split}: {facts['positives']:,} rows with {record['task']} == 1, {_share(facts['known'])} of them of "
                f"items that the index of {record['items']:,} can tell apart"
            )


_INDEXES = {
    "popularity": "popularity",
    "two_tower": "two towers",
    "popularity_unseen": "popularity, without seen items",
    "two_tower_unseen": "two towers, without seen items",
}


def print_two_stages(
    console: Console,
    record: Mapping[str, Any],
    quality: Mapping[str, Any],
    report: Mapping[str, Mapping[str, Any]],
    k: int,
    exclude_seen: bool,
) -> None:
    """Both stages in one table, on the test split.

    Args:
        console: where to print.
        record: `retrieval.json` of the index.
        quality: as `tfmtl.retrieval.two_stage_quality` returns it.
        report: task -> metric -> value, of the ranking model.
        k: length of the lists.
        exclude_seen: whether what a user has seen is left out.
    """
    table = _table("", "R@10", "R@50", "R@100", f"NDCG@{k}", "AUC", "GAUC")
    seen = "_unseen" if exclude_seen else ""
    for name in ("popularity", "two_tower"):
        recalls = record["recall"]["test"][name + seen]
        table.add_row(_INDEXES[name], *[_number(recalls[f"recall@{at}"]) for at in (10, 50, 100)])
    table.add_section()
    for order, metrics in quality["orders"].items():
        table.add_row(f"by {order}", _number(metrics["recall"]), "", "", _number(metrics["ndcg"]))
    table.add_section()
    for task, metrics in report.items():
        if "auc" in metrics:
            table.add_row(task, "", "", "", "", _number(metrics["auc"]), _number(metrics["gauc"]))
    console.print(table)
    left_out = " What a user has seen is left out." if exclude_seen else ""
    positives = record["recall"]["test"]["popularity"]["positives"]
    console.print(
        f"Test split. First two rows, retrieval: R@k is the share of the {positives:,} rows with {record['task']} == 1 "
        f"whose item is among the k best.{left_out} By ..., lists: the same for {quality['queries']:,} of these rows "
        f"and the {k} best of 100 candidates; by retrieval is the first stage alone. Tasks, ranking: all rows."
    )


_MOST_RATES = 12
_SHOWN_RATE = 0.005


def print_manifest(console: Console, manifest: Mapping[str, Any]) -> None:
    """Prints a manifest: rows, splits and label rates, unknown and missing values, warnings."""
    rejected = manifest["rows_rejected"]
    console.print(
        f"{manifest['rows_in']:,} rows in: {manifest['rows_written']:,} written, "
        f"{manifest['rows_history_only']:,} used as history only, {sum(rejected.values()):,} rejected"
    )
    if rejected:
        table = _table("rejected because", "rows", "share")
        for reason, count in sorted(rejected.items(), key=lambda pair: -pair[1]):
            table.add_row(escape(reason), f"{count:,}", _share(count / manifest["rows_in"]))
        console.print(table)
    if manifest["events"]:
        events = ", ".join(f"{count:,} {name}" for name, count in manifest["events"].items())
        console.print(f"events of the sequences: {events}")
    if "transform_from" in manifest:
        added = {table: count for table, count in manifest["transform_from"]["added_values"].items() if count}
        told = ", ".join(f"{count:,} {escape(table)}" for table, count in added.items()) or "none"
        console.print(f"transformation of {escape(manifest['transform_from']['folder'])}; values added: {told}")
    splits = manifest["splits"]
    table = _table("", *splits)
    table.add_row("examples", *[f"{facts['examples']:,}" for facts in splits.values()], end_section=True)
    for task in next(iter(splits.values()))["tasks"]:
        facts = [split["tasks"][task] for split in splits.values()]
        table.add_row(f"mean {task}", *["" if fact["mean"] is None else f"{fact['mean']:.4f}" for fact in facts])
        if any(fact["labels"] < split["examples"] for fact, split in zip(facts, splits.values(), strict=True)):
            table.add_row(f"  labels of {task}", *[f"{fact['labels']:,}" for fact in facts])
        if any(fact.get("undecided") for fact in facts):
            table.add_row(f"  {task} still open", *[f"{fact['undecided']:,}" for fact in facts])
    console.print(table)
    _print_rates(console, splits)
    for warning in manifest["warnings"]:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}")


def _print_rates(console: Console, splits: Mapping[str, Mapping[str, Any]]) -> None:
    """The features with most unknown or missing values; nothing where none has any worth a line."""
    rates = {
        name: [split["features"][name][rate] for rate in ("out_of_vocabulary", "missing") for split in splits.values()]
        for name in next(iter(splits.values()))["features"]
    }
    shown = sorted((name for name in rates if max(rates[name]) >= _SHOWN_RATE), key=lambda name: -max(rates[name]))
    if not shown:
        return
    table = _table("feature", *[f"OOV {split}" for split in splits], *[f"missing {split}" for split in splits])
    for name in shown[:_MOST_RATES]:
        table.add_row(name, *[_share(rate) for rate in rates[name]])
    console.print(table)
    if len(shown) > _MOST_RATES:
        console.print(f"... and {len(shown) - _MOST_RATES} more features with unknown or missing values")


def _table(first: str, *others: str) -> Table:
    table = Table(first)
    for other in others:
        table.add_column(other, justify="right")
    return table


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= _SHOWN_RATE / 10 or share == 0 else "<0.1%"
