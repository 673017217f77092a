"""One self-contained HTML page about a search over options of training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfmtl.report.figures import COLORS, INK, WIDTH, dressed, panels
from tfmtl.report.page import write_page

_GREY = "#b6bfca"


def tuning_report(facts: Mapping[str, Any], path: str | Path) -> None:
    """Writes the page.

    Args:
        facts: `monitor` and its `direction`, `trials` (`number`, `state`, `value`, `settings`, `curve`, `seconds`,
            `error`), the `best` one's number, `importances` of the settings, which of them are `logarithmic`, and
            `best_file`, the name of the run file that repeats the best.
        path: str or Path. The HTML file.
    """
    trials: Sequence[Mapping[str, Any]] = facts["trials"]
    names = list(dict.fromkeys(name for trial in trials for name in trial["settings"]))
    states = [trial["state"] for trial in trials]
    order = sorted(trials, key=lambda trial: _rank(trial, facts["direction"]))
    shown = {
        **facts,
        "names": names,
        "order": order,
        "counts": {state: states.count(state) for state in ("complete", "pruned", "fail", "running")},
        "seconds": sum(trial["seconds"] or 0.0 for trial in trials),
        "best_trial": next((trial for trial in trials if trial["number"] == facts["best"]), None),
    }
    ended = [trial for trial in trials if trial["value"] is not None]
    pictures = {}
    if ended:
        pictures["trials"] = _trials_figure(trials, facts)
        pictures["settings"] = _settings_figure(ended, names, facts)
    if facts["importances"]:
        pictures["importances"] = _importances_figure(facts["importances"])
    if any(len(trial["curve"]) > 1 for trial in trials):
        pictures["curves"] = _curves_figure(trials, facts)
    write_page(path, "tuning_report.html", shown, pictures)


def _rank(trial: Mapping[str, Any], direction: str) -> tuple[int, float, int]:
    """Ended trials first, the best of them on top."""
    if trial["value"] is None:
        return 1, 0.0, trial["number"]
    return 0, trial["value"] * (-1.0 if direction == "max" else 1.0), trial["number"]


def _trials_figure(trials: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> Figure:
    """The value of every trial, and the best so far."""
    figure = Figure((WIDTH, 2.8), layout="constrained")
    axes = figure.subplots()
    ended = [(trial["number"], trial["value"]) for trial in trials if trial["value"] is not None]
    numbers, values = [number for number, _ in ended], np.array([value for _, value in ended])
    best = (np.maximum if facts["direction"] == "max" else np.minimum).accumulate(values)
    axes.step(numbers, best, where="post", color=COLORS["valid"], linewidth=1.4, label="best so far")
    axes.scatter(numbers, values, s=18, color=COLORS["train"], label="trial", zorder=3)
    pruned = [
        (trial["number"], trial["curve"][-1]) for trial in trials if trial["state"] == "pruned" and trial["curve"]
    ]
    if pruned:
        places, last = [number for number, _ in pruned], [value for _, value in pruned]
        axes.scatter(places, last, s=18, color=_GREY, marker="x", label="stopped early", zorder=2)
    axes.set_xlabel("trial")
    axes.set_ylabel(facts["monitor"])
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False, fontsize=8.5)
    return dressed(figure)


def _settings_figure(ended: Sequence[Mapping[str, Any]], names: Sequence[str], facts: Mapping[str, Any]) -> Figure:
    """The value of every ended trial by each setting."""

    def draw(axes: Any, name: str) -> None:
        pairs = [(trial["settings"][name], trial["value"]) for trial in ended if name in trial["settings"]]
        chosen = [value for value, _ in pairs]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in chosen):
            places = chosen
            if name in facts["logarithmic"]:
                axes.set_xscale("log")
        else:
            texts = sorted({str(value) for value in chosen})
            places = [texts.index(str(value)) for value in chosen]
            axes.set_xticks(range(len(texts)), [text if len(text) < 13 else f"{text[:11]}…" for text in texts])
            axes.set_xlim(-0.6, len(texts) - 0.4)
        axes.scatter(places, [value for _, value in pairs], s=16, color=COLORS["train"], alpha=0.8)

    return panels(names, draw, None)


def _importances_figure(importances: Mapping[str, float]) -> Figure:
    figure = Figure((WIDTH * 0.7, 0.8 + 0.3 * len(importances)), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(importances)), list(importances.values()), 0.65, color=COLORS["train"])
    axes.set_yticks(range(len(importances)), list(importances))
    axes.set_ylim(len(importances) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("share of the importance")
    axes.tick_params(axis="y", length=0)
    return dressed(figure, axis="x")


def _curves_figure(trials: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> Figure:
    """Validation of every trial after every epoch."""
    figure = Figure((WIDTH, 2.8), layout="constrained")
    axes = figure.subplots()
    for trial in trials:
        is_best = trial["number"] == facts["best"]
        color = COLORS["valid"] if is_best else _GREY if trial["state"] == "pruned" else COLORS["train"]
        places = np.arange(1, len(trial["curve"]) + 1)
        axes.plot(
            places, trial["curve"], color=color, linewidth=2.2 if is_best else 0.9, alpha=1.0 if is_best else 0.6,
            marker="o", markersize=3, zorder=3 if is_best else 2,
        )  # fmt: skip
    for color, name in ((COLORS["valid"], "best"), (COLORS["train"], "others"), (_GREY, "stopped early")):
        axes.plot([], [], color=color, label=name)
    axes.set_xlabel("validation")
    axes.set_ylabel(facts["monitor"])
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.spines["bottom"].set_color(INK)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False, fontsize=8.5)
    return dressed(figure)
