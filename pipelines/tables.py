"""Results as tables on the screen."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_SHOWN = ("auc", "gauc", "log_loss", "normalized_entropy", "ece", "rmse", "mae")


def print_metrics(console: Console, reports: Mapping[str, Mapping[str, Mapping[str, Any]]], title: str) -> None:
    """One table for all models: a row per model and task, a column per metric.

    Args:
        console: where to print.
        reports: model -> task -> metric -> value, as `tfmtl.training.evaluate` returns it.
        title: str.
    """
    tasks = next(iter(reports.values()))
    shown = [name for name in _SHOWN if any(name in metrics for metrics in tasks.values())]
    table = Table("task", "model", *shown, title=title)
    for task in tasks:
        for model, report in reports.items():
            values = [_number(report[task][name]) if name in report[task] else "" for name in shown]
            table.add_row(task, model, *values)
        table.add_section()
    console.print(table)
    for task, metrics in tasks.items():
        if metrics.get("gauc_groups_skipped"):
            console.print(
                f"gauc of {task}: {metrics['gauc_groups']} groups counted, {metrics['gauc_groups_skipped']} of one "
                "class only skipped"
            )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def print_manifest(console: Console, manifest: Mapping[str, Any]) -> None:
    """What preprocessing wrote: rows in and out, examples and label means per split."""
    rejected = sum(manifest["rows_rejected"].values())
    console.print(
        f"{manifest['rows_in']:,} rows in: {manifest['rows_written']:,} written, "
        f"{manifest['rows_history_only']:,} used as history only, {rejected:,} rejected"
    )
    for reason, count in manifest["rows_rejected"].items():
        console.print(f"  rejected {count:,}: {reason}")
    splits = manifest["splits"]
    tasks = list(next(iter(splits.values()))["tasks"])
    table = Table("split", "examples", *[f"mean {task}" for task in tasks])
    for split, facts in splits.items():
        means = [facts["tasks"][task]["mean"] for task in tasks]
        table.add_row(split, f"{facts['examples']:,}", *["" if mean is None else f"{mean:.4f}" for mean in means])
    console.print(table)
