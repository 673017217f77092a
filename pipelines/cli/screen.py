"""Printing results as tables on the screen."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfmtl.display import Page
from tfmtl.display.manifest_page import manifest_page, share
from tfmtl.display.metrics_page import HEADINGS, metrics_page, number

console = Console(soft_wrap=True, highlight=False)


def print_metrics(console: Console, reports: Mapping[str, Mapping[str, Mapping[str, Any]]], title: str) -> None:
    """One table per kind of task: a row per task and model, for a constant and for trees; a column per metric.

    Args:
        console: where to print.
        reports: model -> task -> metric -> value, as `tfmtl.training.evaluate` returns it.
        title: str.
    """
    page = metrics_page(reports, title)
    console.print(f"[bold]{escape(page.title)}[/bold]")
    _print_parts(console, page)


def print_calibration(console: Console, report: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints the effect of calibration: a row per task, split and measure.

    Args:
        console: where to print.
        report: as `tfmtl.export.calibration.calibrate.calibration_report` returns it.
    """
    table = Table("task", "method", "split", "measure", "before", "after")
    for task, facts in report.items():
        for split in ("valid", "test"):
            found = facts.get(split, {})
            for name in [name for name in found if f"{name}_calibrated" in found]:
                values = (number(found[name]), number(found[f"{name}_calibrated"]))
                table.add_row(task, facts["method"], split, HEADINGS.get(name, name), *values)
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
            table.add_row(split, _INDEXES[name], *[number(recalls[k]) for k in ks])
        table.add_section()
    console.print(table)
    for split, found in record["recall"].items():
        facts = next(iter(found.values()))
        if facts["positives"]:
            console.print(
                f"{split}: {facts['positives']:,} rows with {record['task']} == 1, {share(facts['known'])} of them of "
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
    quality: Mapping[str, Any] | None,
    report: Mapping[str, Mapping[str, Any]],
    k: int,
    exclude_seen: bool,
) -> None:
    """Both stages in one table, on the test split.

    Args:
        console: where to print.
        record: `retrieval.json` of the index.
        quality: as `tfmtl.retrieval.two_stage_quality` returns it, or `None` where it was not measured.
        report: task -> metric -> value, of the ranking model.
        k: length of the lists.
        exclude_seen: whether what a user has seen is left out.
    """
    table = _table("", "R@10", "R@50", "R@100", f"NDCG@{k}", "AUC", "GAUC")
    seen = "_unseen" if exclude_seen else ""
    for name in ("popularity", "two_tower"):
        recalls = record["recall"]["test"][name + seen]
        table.add_row(_INDEXES[name], *[number(recalls[f"recall@{at}"]) for at in (10, 50, 100)])
    table.add_section()
    if quality is not None:
        for order, metrics in quality["orders"].items():
            table.add_row(f"by {order}", number(metrics["recall"]), "", "", number(metrics["ndcg"]))
        table.add_section()
    for task, metrics in report.items():
        if "auc" in metrics:
            table.add_row(task, "", "", "", "", number(metrics["auc"]), number(metrics["gauc"]))
    console.print(table)
    left_out = " What a user has seen is left out." if exclude_seen else ""
    positives = record["recall"]["test"]["popularity"]["positives"]
    lists = (
        ""
        if quality is None
        else (
            f" By ..., lists: the same for {quality['queries']:,} of these rows and the {k} best of 100 candidates; by "
            "retrieval is the first stage alone."
        )
    )
    console.print(
        f"Test split. First two rows, retrieval: R@k is the share of the {positives:,} rows with {record['task']} == 1 "
        f"whose item is among the k best.{left_out}{lists} Tasks, ranking: all rows."
    )


def print_manifest(console: Console, manifest: Mapping[str, Any]) -> None:
    """Prints a manifest: rows, splits and label rates, unknown and missing values, warnings."""
    _print_parts(console, manifest_page(manifest, manifest["problem"]), "warning: ")


def _print_parts(console: Console, page: Page, before: str = "") -> None:
    """Prints what is below a page's title, its warnings marked."""
    for part in page.parts:
        console.print(escape(part) if isinstance(part, str) else part.rich())
    for warning in page.warnings:
        console.print(f"[yellow]{before}{escape(warning)}[/yellow]")


def _table(first: str, *others: str) -> Table:
    table = Table(first)
    for other in others:
        table.add_column(other, justify="right")
    return table
