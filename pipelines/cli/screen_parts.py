"""Printing slices of a split and comparisons of runs as tables on the screen."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfmtl.schema import Problem

_COLORS = {"better": "green", "worse": "red"}


def print_slices(console: Console, problem: Problem, slices: Mapping[str, Mapping[str, Any]]) -> None:
    """A table a task: a row for each part of a slice, means of labels and predictions, the main metric's interval.

    Args:
        console: where to print.
        problem: `Problem`.
        slices: as `tfmtl.training.slice_report.slice_report` returns it.
    """
    for task in problem.tasks if slices else ():
        metric = task.monitor[0]
        console.print(f"[bold]{escape(task.name)}[/bold], slices")
        table = Table("slice", "rows", "labels", "mean", "predicted", metric, "95 %", "")
        for name, tasks in slices.items():
            for part, found in tasks[task.name].items():
                interval = found["intervals"].get(metric)
                shown = f"{interval['low']:.4f} to {interval['high']:.4f}" if interval else ""
                labels = found.get("examples", found["rows"])
                numbers = [_number(found.get(each)) for each in ("mean_label", "mean_prediction", metric)]
                few = "[yellow]few[/yellow]" if found["few"] else ""
                title = escape(f"{name}: {part}" if part else name)
                table.add_row(title, f"{found['rows']:,}", f"{labels:,}", *numbers, shown, few)
            table.add_section()
        console.print(table)
    empty = [f"{name} {part}".strip() for name, found in slices.items() for part in _empty_parts(found)]
    if empty:
        console.print(f"[yellow]No row is in: {escape(', '.join(empty))}.[/yellow]")
    if any(part["few"] for tasks in slices.values() for parts in tasks.values() for part in parts.values()):
        console.print("few: less than 100 labels, or of one class; look at the interval before you believe the number.")


def _empty_parts(tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [part for part, found in next(iter(tasks.values())).items() if not found["rows"]]


def print_comparison(console: Console, compared: Mapping[str, Mapping[str, Any]], run: str, baseline: str) -> None:
    """A row per task and metric: both runs, the difference and what it shows.

    Args:
        console: where to print.
        compared: as `tfmtl.training.intervals.compare` returns it.
        run: name of the run.
        baseline: name of the one it is compared with.
    """
    console.print(f"[bold]{escape(run)}[/bold] against [bold]{escape(baseline)}[/bold]")
    table = Table("task", "metric", "run", "baseline", "difference", "95 %", "")
    for task, metrics in compared.items():
        for metric, found in metrics.items():
            if found["verdict"] is None:
                continue
            interval = "" if found["low"] is None else f"{found['low']:+.4f} to {found['high']:+.4f}"
            color = _COLORS.get(found["verdict"])
            verdict = f"[{color}]{found['verdict']}[/{color}]" if color else found["verdict"]
            difference = "" if found["difference"] is None else f"{found['difference']:+.4f}"
            values = _number(found["value"]), _number(found["baseline"])
            table.add_row(task, metric, *values, difference, interval, verdict)
        table.add_section()
    console.print(table)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
