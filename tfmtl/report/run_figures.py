"""The pictures of a run's page, as matplotlib figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfmtl.metrics import reliability_table
from tfmtl.report.figures import COLORS, INK, WIDTH, dressed, panels

_BARS = 25
_COLORS = ("#3b6ea8", "#e08a2e", "#3f9a74", "#b03a2e", "#7b5ea7", "#8a6d3b")


def curves_figure(history: Mapping[str, Sequence[float]], best: int | None = None) -> Figure | None:
    """Metrics of training and validation after every epoch, a panel a metric; a line at the epoch that is kept.

    Args:
        history: metric -> values, those of validation as `val_<metric>`; `model.fit(...).history` is one.
        best: the epoch that is kept, from 0. Defaults to `None`: no line is drawn.
    """
    names = [name for name in history if not name.startswith("val_")]
    names += [name for name in history if name.startswith("val_") and name.removeprefix("val_") not in history]
    if not names:
        return None

    def draw(axes: Any, name: str) -> None:
        shown = {"train": history.get(name) if not name.startswith("val_") else None}
        shown["valid"] = history.get(f"val_{name.removeprefix('val_')}")
        for split, values in shown.items():
            if values is not None:
                places = np.arange(1, len(values) + 1)
                axes.plot(places, values, color=COLORS[split], label=split, marker="o", markersize=3, linewidth=1.4)
        if best is not None:
            axes.axvline(best + 1, color=INK, linewidth=0.9, linestyle=":")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))

    return panels(names, draw, "epoch")


def importance_figure(importances: Mapping[str, Mapping[str, float]], metrics: Mapping[str, str]) -> Figure | None:
    """Bars a task: what its metric loses without each feature, the largest on top.

    Args:
        importances: task -> feature -> loss.
        metrics: task -> name of its metric.
    """
    shown = {task: list(each.items())[:_BARS] for task, each in importances.items() if each}
    if not shown:
        return None
    bars = max(len(each) for each in shown.values())
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure((WIDTH, rows * (0.9 + 0.24 * bars)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes, (task, values) in zip(grid, shown.items(), strict=False):
        names, losses = [name for name, _ in values], [loss for _, loss in values]
        colors = [_COLORS[0] if loss > 0.0 else "#c3ccd6" for loss in losses]
        axes.barh(range(len(names)), losses, 0.7, color=colors)
        axes.axvline(0.0, color=INK, linewidth=0.7)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(bars - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_title(task, loc="left", fontsize=9, fontweight="bold", color=INK)
        axes.set_xlabel(f"loss of {metrics[task]}")
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    return dressed(figure, axis="x")


def cosines_figure(tasks: Sequence[str], cosines: Mapping[str, float | None]) -> Figure:
    """Cosines of the tasks' gradients as a matrix with its numbers: red is conflict.

    Args:
        tasks: their names.
        cosines: `"<task>, <task>"` -> cosine.
    """
    matrix = np.eye(len(tasks))
    for row, one in enumerate(tasks):
        for column, other in enumerate(tasks):
            if row < column:
                value = cosines.get(f"{one}, {other}")
                matrix[row, column] = matrix[column, row] = np.nan if value is None else value
    return _matrix(matrix, list(tasks), list(tasks), "RdBu", (-1.0, 1.0), "{:.2f}")


def conflict_figure(records: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Cosines of the pairs of tasks over the run.

    Args:
        records: lines of the monitor's file.
    """
    if len(records) < 2:
        return None
    figure = Figure((WIDTH, 2.6), layout="constrained")
    axes = figure.subplots()
    steps = [record["step"] for record in records]
    for number, pair in enumerate(records[0]["cosines"]):
        values = [np.nan if r["cosines"][pair] is None else r["cosines"][pair] for r in records]
        axes.plot(steps, values, color=_COLORS[number % len(_COLORS)], label=pair, marker="o", markersize=3)
    axes.axhline(0.0, color=INK, linewidth=0.8, linestyle="--")
    axes.set_xlabel("step")
    axes.set_ylabel("cosine")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=4, frameon=False, fontsize=8.5)
    return dressed(figure)


def gates_figure(tasks: Sequence[str], use: np.ndarray, own: int) -> Figure:
    """What every expert gets of every task's gate, as a matrix.

    Args:
        tasks: their names.
        use: `(tasks, experts)`, shares.
        own: how many of the experts, the first ones, are a task's own.
    """
    experts = [f"own {k + 1}" if k < own else f"shared {k + 1 - own}" for k in range(use.shape[1])]
    return _matrix(use, list(tasks), experts, "Blues", (0.0, 1.0), "{:.0%}")


def reliability_panels(
    labels: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> Figure | None:
    """Predicted and observed rates in ten bins, before and after calibration, a panel a task.

    Args:
        labels: task -> `(N,)`, NaN where missing.
        before: task -> probabilities.
        after: task -> calibrated probabilities.
    """

    def draw(axes: Any, task: str) -> None:
        end = 0.01
        for name, values, color in (("model", before, _COLORS[0]), ("calibrated", after, _COLORS[1])):
            bins = reliability_table(labels[task], values[task])
            predicted, observed = [each.mean_predicted for each in bins], [each.mean_observed for each in bins]
            axes.plot(predicted, observed, color=color, marker="o", markersize=3.5, linewidth=1.2, label=name)
            end = max([end, *predicted, *observed])
        axes.plot([0.0, end], [0.0, end], color="#999999", linewidth=0.9, linestyle="--", zorder=1)
        axes.xaxis.set_major_locator(MaxNLocator(4))

    return panels(list(before), draw, "mean prediction") if before else None


def _matrix(
    values: np.ndarray, rows: list[str], columns: list[str], colors: str, limits: tuple[float, float], form: str
) -> Figure:
    figure = Figure((1.9 + 0.85 * len(columns), 1.2 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    middle, half = sum(limits) / 2.0, (limits[1] - limits[0]) / 2.0
    for row in range(len(rows)):
        for column in range(len(columns)):
            value = values[row, column]
            dark = value > middle + 0.3 * half if limits[0] == 0.0 else abs(value - middle) > 0.6 * half
            text = "–" if np.isnan(value) else form.format(value)
            axes.text(column, row, text, ha="center", va="center", color="white" if dark else INK, fontsize=8.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return dressed(figure, grid=False)
