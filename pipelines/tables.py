"""Results as tables on the screen."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

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
}


def print_metrics(console: Console, reports: Mapping[str, Mapping[str, Mapping[str, Any]]], title: str) -> None:
    """One table per kind of task: a row per task and model, a column per metric.

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
            table.add_section()
        console.print(table)
    for task, metrics in tasks.items():
        if metrics.get("gauc_groups_skipped"):
            console.print(
                f"GAUC of {task}: over {metrics['gauc_groups']} groups; {metrics['gauc_groups_skipped']} groups "
                "with labels of one class only are left out"
            )


def print_calibration(console: Console, report: Mapping[str, Mapping[str, Any]]) -> None:
    """What calibration changed: a row per task and split.

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
    """How long batches take: a row per size.

    Args:
        console: where to print.
        times: rows -> milliseconds.
    """
    table = Table("rows", "ms", "rows a second")
    for size, milliseconds in times.items():
        table.add_row(str(size), f"{milliseconds:.2f}", f"{1000.0 * size / milliseconds:,.0f}")
    console.print(table)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def print_manifest(console: Console, manifest: Mapping[str, Any]) -> None:
    """What preprocessing wrote: rows in and out, events, examples and label means per split; warnings last."""
    rejected = sum(manifest["rows_rejected"].values())
    console.print(
        f"{manifest['rows_in']:,} rows in: {manifest['rows_written']:,} written, "
        f"{manifest['rows_history_only']:,} used as history only, {rejected:,} rejected"
    )
    for reason, count in manifest["rows_rejected"].items():
        console.print(f"  rejected {count:,}: {escape(reason)}")
    if manifest["events"]:
        events = ", ".join(f"{count:,} {name}" for name, count in manifest["events"].items())
        console.print(f"events of the sequences: {events}")
    splits = manifest["splits"]
    tasks = list(next(iter(splits.values()))["tasks"])
    table = Table("split", "examples", *[f"mean {task}" for task in tasks])
    for split, facts in splits.items():
        means = [facts["tasks"][task]["mean"] for task in tasks]
        table.add_row(split, f"{facts['examples']:,}", *["" if mean is None else f"{mean:.4f}" for mean in means])
    console.print(table)
    for warning in manifest["warnings"]:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}")
