"""The pictures of the data report, as matplotlib figures."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfmtl.core.drift import SHIFTED, STABLE
from tfmtl.report.shown_figure import ShownFigure

COLORS = {"train": "#3b6ea8", "valid": "#e08a2e", "test": "#3f9a74"}
INK, _GRID = "#333a44", "#d9dee5"
WIDTH = 9.6  # inches of a full-width figure
_COLUMNS = 3
_BINS = 40
_MOST_TICKS = 5
_SPIKE = 0.5  # share of one bin


def days_figure(days: Mapping[str, Mapping[str, int]]) -> Figure:
    """Examples a day, the splits stacked.

    Args:
        days: split -> ISO day -> examples.
    """
    figure = Figure((WIDTH, 2.9), layout="constrained")
    axes = figure.subplots()
    every = np.array(sorted({day for counts in days.values() for day in counts}), dtype="datetime64[D]")
    span = np.arange(every[0], every[-1] + 1)
    below = np.zeros(len(span))
    for split, counts in days.items():
        heights = np.zeros(len(span))
        for day, count in counts.items():
            heights[np.searchsorted(span, np.datetime64(day))] = count
        axes.bar(
            span,
            heights,
            width=0.9 if len(span) < 60 else 1.0,
            bottom=below,
            color=COLORS[split],
            label=split,
            linewidth=0,
        )
        below += heights
    locator = AutoDateLocator(minticks=min(5, len(span) - 1), maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylabel("examples a day")
    axes.margins(x=0.01)
    _legend(figure, axes)
    return dressed(figure)


def cooccurrence_figure(tasks: Sequence[str], shares: np.ndarray) -> Figure:
    """`shares[i, j]`, how often task j is 1 where task i is 1, as a matrix with its numbers."""
    size = len(tasks)
    side = 1.9 + 0.72 * size
    figure = Figure((side + 0.5, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(size), tasks, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(size), tasks)
    axes.set_xlabel("... this one, too")
    axes.set_ylabel("of the rows with this label ...")
    for row in range(size):
        for column in range(size):
            share = shares[row, column]
            text = "none" if np.isnan(share) else f"{share:.0%}" if share >= 0.0995 or share == 0 else f"{share:.1%}"
            axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.6 else INK, fontsize=8.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return dressed(figure, grid=False)


def lengths_figure(names: Mapping[str, Sequence[str]], lengths: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Shares of the examples by length, one panel a list or sequence.

    Args:
        names: list or sequence -> names of its bins.
        lengths: list or sequence -> split -> counts of the bins.
    """

    def draw(axes: Axes, name: str) -> None:
        splits = {split: counts for split, counts in lengths[name].items() if counts.sum()}
        width = 0.82 / max(len(splits), 1)
        for number, (split, counts) in enumerate(splits.items()):
            places = np.arange(len(counts)) + (number - (len(splits) - 1) / 2) * width
            axes.bar(places, counts / counts.sum(), width, color=COLORS[split], label=split)
        axes.set_xticks(range(len(names[name])), names[name], rotation=30 if len(names[name]) > 5 else 0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g}%"))

    return panels(list(names), draw, "events")


def numbers_figure(
    features: Mapping[str, Callable[[float], str]],
    shares: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]],
) -> Figure:
    """Histograms, one panel a number.

    Args:
        features: number -> how a place on its axis reads.
        shares: number -> split -> edges `(n + 1,)` and shares `(n,)` of the bins.
    """

    def draw(axes: Axes, name: str) -> None:
        for split, (edges, values) in shares[name].items():
            if split == "train":
                axes.stairs(values, edges, color=COLORS[split], fill=True, alpha=0.3)
            axes.stairs(values, edges, color=COLORS[split], label=split, linewidth=1.3)
        axes.xaxis.set_major_locator(MaxNLocator(_MOST_TICKS, integer=True, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: features[name](value)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g}%"))
        axes.margins(x=0.0)
        _cut_spike(axes, [values for _, values in shares[name].values()])

    return panels(list(features), draw, None)


def _cut_spike(axes: Axes, histograms: Sequence[np.ndarray]) -> None:
    """Where one bin holds most rows, the axis ends above the next ones and a note says how high it is."""
    highest = np.max(histograms, axis=0)
    peak, *rest = np.sort(highest)[::-1]
    axes.set_ylim(bottom=0.0)
    if rest and peak > _SPIKE and rest[0] < peak / 5:
        axes.set_ylim(top=1.25 * rest[0] if rest[0] else 1.0)
        place = int(np.argmax(highest))
        side = "left" if place < len(highest) / 2 else "right"
        axes.text(
            0.04 if side == "left" else 0.96, 0.93, f"{peak:.0%} in one bin", ha=side, va="top", fontsize=8,
            color=INK, transform=axes.transAxes,
        )  # fmt: skip


def histogram(values: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Edges and shares over bins that the splits have in common, from the 0.5th to the 99.5th percentile."""
    known = {split: numbers[~np.isnan(numbers)] for split, numbers in values.items()}
    known = {split: numbers for split, numbers in known.items() if len(numbers)}
    if not known:
        return {}
    low, high = np.quantile(np.concatenate(list(known.values())), [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    return {
        split: (edges, np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)[0] / len(numbers))
        for split, numbers in known.items()
    }


def drift_figure(indices: Mapping[str, Mapping[str, float]]) -> Figure:
    """Bars of the population stability index, the largest on top.

    Args:
        indices: feature -> split -> index.
    """
    names = list(indices)
    splits = list(next(iter(indices.values())))
    figure = Figure((WIDTH, 1.1 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(splits)
    for number, split in enumerate(splits):
        places = np.arange(len(names)) + (number - (len(splits) - 1) / 2) * height
        values = [indices[name][split] for name in names]
        axes.barh(places, values, height, color=COLORS[split], label=split)
    for threshold in (STABLE, SHIFTED):
        axes.axvline(threshold, color="#b03a2e", linewidth=1.0, linestyle="--" if threshold == STABLE else "-")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("population stability index against the training split (lines: 0.1 and 0.25)")
    axes.tick_params(axis="y", length=0)
    _legend(figure, axes)
    return dressed(figure, axis="x")


def panels(names: Sequence[str], draw: Callable[[Axes, str], None], label: str | None) -> Figure:
    """Small pictures side by side, one a name, under one legend.

    Args:
        names: of the panels.
        draw: draws the panel of a name.
        label: of the horizontal axes.
    """
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = ShownFigure(
        (WIDTH * columns / _COLUMNS + (0.8 if columns < _COLUMNS else 0), 0.45 + 2.05 * rows), layout="constrained"
    )
    grid: Any = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes, name in zip(grid, names, strict=False):
        draw(axes, name)
        axes.set_title(name, loc="left", fontsize=9, fontweight="bold", color=INK)
        if label:
            axes.set_xlabel(label)
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    _legend(figure, grid[0])
    return dressed(figure)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False, fontsize=8.5)


def dressed(figure: Figure, grid: bool = True, axis: str = "y") -> Figure:
    """One look for all: small dark text, faint lines behind, no frame."""
    for axes in figure.axes:
        axes.tick_params(labelsize=8, colors=INK)
        for text in (axes.xaxis.label, axes.yaxis.label):
            text.set(fontsize=8.5, color=INK)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(_GRID)
        if grid:
            axes.set_axisbelow(True)
            axes.grid(axis=axis, color=_GRID, linewidth=0.7)  # type: ignore[arg-type]
    return figure
