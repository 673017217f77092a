"""Boosted trees and linear models beside a network's evaluation."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from tfmtl.baselines import PlainReport, plain_report
from tfmtl.baselines.plain_report import TREES, TREES_WITH_IDS
from tfmtl.data import PreparedData
from tfmtl.training.intervals import compare

BETTER_TREES = "boosted trees"
"""Of a task: without ids or with them, whichever has the lower loss on the split that is asked for."""


def add_trees(
    console: Console, report: dict[str, dict[str, Any]], data: PreparedData, split: str, seed: int = 0
) -> PlainReport:
    """Adds `plain_models` to the tasks' metrics, as `tfmtl.baselines.plain_report` measures them, and says what is not.

    Args:
        console: where to tell.
        report: task -> metric -> value, as `tfmtl.training.evaluate` returned it for the split.
        data: the data evaluated; trees are fitted to its training split.
        split: the split evaluated.
        seed: of the trees. Defaults to `0`.

    Returns:
        What was measured.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    with console.status("Fitting boosted trees ..."):
        found = plain_report(data, split, seed)
    for task, models in found.tasks.items():
        report[task]["plain_models"] = {name: dict(metrics) for name, metrics in models.items()}
    for note in found.notes:
        console.print(escape(note))
    return found


def against_trees(
    data: PreparedData, predicted: Mapping[str, Any], found: PlainReport, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Whether the network is better than trees, as `tfmtl.training.intervals.compare` returns it.

    Only tasks that trees were fitted for and that predict one number, and of these what the task is watched by and its
    loss. The trees are those with the lower loss on these very rows, which is kind to them.

    Args:
        data: what both are measured on.
        predicted: what `predict` returned of the network.
        found: what `add_trees` returned for the same split.
        resamples: int.
        seed: int.
    """
    shown = {}
    trees = dict(predicted["predictions"])
    for task in data.problem.tasks:
        loss = "log_loss" if task.calibrates else "rmse"
        models = found.tasks.get(task.name, {})
        losses = {name: models[name][loss] for name in (TREES, TREES_WITH_IDS) if name in models}
        if not losses or None in losses.values() or len(task.outputs) > 1:  # None of no labels
            continue
        trees[task.key("")] = found.scores[task.name][min(losses, key=lambda name: losses[name])]
        shown[task.name] = {task.monitor[0], loss}
    if not shown:
        return {}
    compared = compare(data, predicted, {**predicted, "predictions": trees}, resamples, seed)
    return {
        task: {metric: values for metric, values in compared[task].items() if metric in metrics}
        for task, metrics in shown.items()
    }
