"""The reliability diagram before and after calibration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfmtl.export.calibration.calibrator import Calibrator, Floats, Reliability, outputs_of
from tfmtl.schema.extras import need_extra

_BLUE, _ORANGE, _GREY = "#4477aa", "#cc6633", "#999999"
_PANEL_INCHES = 3.6


def save_reliability_figure(
    path: Path, calibrators: Mapping[str, Calibrator], splits: Mapping[str, Mapping[str, Any]]
) -> None:
    """Draws a row for each split and a column for each task: ten bins, on the diagonal if the model is right.

    Args:
        path: where the PNG goes.
        calibrators: task -> `Calibrator`, at least one.
        splits: split -> what `tfmtl.training.predict` returned for it.
    """
    need_extra("calibrate: its figure", "report", "matplotlib")
    # Not through pyplot, which keeps figures and may look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (_PANEL_INCHES * len(calibrators) + 0.4, _PANEL_INCHES * len(splits) + 0.3)
    figure = Figure(figsize=size, layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(splits), len(calibrators), squeeze=False)
    for row, (split, result) in zip(rows, splits.items(), strict=True):
        for axes, (task, calibrator) in zip(row, calibrators.items(), strict=True):
            axes.set(title=f"{task}, {split} split", xlabel="mean predicted probability", ylabel="observed rate")
            before = {
                suffix: np.asarray(values, np.float64)
                for suffix, values in outputs_of(task, result["predictions"]).items()
            }
            _draw_panel(axes, outputs_of(task, result["labels"]), before, calibrator)
    figure.savefig(path)


def _draw_panel(axes: Any, labels: Mapping[str, Floats], before: Mapping[str, Floats], calibrator: Calibrator) -> None:
    after = calibrator.of_arrays(before)
    ends = [
        _draw_side(axes, calibrator.reliability(labels, before), "model", _BLUE, "o"),
        _draw_side(axes, calibrator.reliability(labels, after), calibrator.method, _ORANGE, "s"),
    ]
    limit = max(ends)
    axes.plot([0.0, limit], [0.0, limit], color=_GREY, linewidth=1.0, linestyle="--", zorder=1)
    axes.set(xlim=(0.0, limit), ylim=(0.0, limit), aspect="equal")
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", fontsize="small")


def _draw_side(axes: Any, side: Reliability, name: str, color: str, marker: str) -> float:
    """Draws one side and returns where its axes should end."""
    axes.plot(side.predicted, side.observed, color=color, marker=marker, markersize=4, label=f"{name}: {side.error}")
    return min(1.0, 1.1 * max([*side.predicted, *side.observed, 0.01]))
