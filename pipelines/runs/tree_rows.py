"""Boosted trees and linear models beside a network's evaluation."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from tfmtl.baselines import plain_report
from tfmtl.data import PreparedData


def add_trees(
    console: Console, report: dict[str, dict[str, Any]], data: PreparedData, split: str, seed: int = 0
) -> None:
    """Adds `plain_models` to the tasks' metrics, as `tfmtl.baselines.plain_report` measures them, and says what is not.

    Args:
        console: where to tell.
        report: task -> metric -> value, as `tfmtl.training.evaluate` returned it for the split.
        data: the data evaluated; trees are fitted to its training split.
        split: the split evaluated.
        seed: of the trees. Defaults to `0`.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    with console.status("Fitting boosted trees ..."):
        found = plain_report(data, split, seed)
    for task, models in found.tasks.items():
        report[task]["plain_models"] = {name: dict(metrics) for name, metrics in models.items()}
    for note in found.notes:
        console.print(escape(note))
