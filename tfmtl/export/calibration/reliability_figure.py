"""The reliability diagram before and after calibration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfmtl.export.calibration.calibrator import Calibrator, Floats
from tfmtl.metrics import expected_calibration_error, reliability_table
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
            before = np.asarray(result["predictions"][task], np.float64)
            _draw_panel(axes, result["labels"][task], before, calibrator)
    figure.savefig(path)


def _draw_panel(axes: Any, labels: Floats, before: Floats, calibrator: Calibrator) -> None:
    ends = [
        _draw_side(axes, labels, before, "model", _BLUE, "o"),
        _draw_side(axes, labels, calibrator.of_array(before), calibrator.method, _ORANGE, "s"),
    ]
    limit = max(ends)
    axes.plot([0.0, limit], [0.0, limit], color=_GREY, linewidth=1.0, linestyle="--", zorder=1)
    axes.set(xlim=(0.0, limit), ylim=(0.0, limit), aspect="equal")
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left", fontsize="small")


def _draw_side(axes: Any, labels: Floats, probabilities: Floats, name: str, color: str, marker: str) -> float:
    """Draws one side and returns where its axes should end."""
    bins = reliability_table(labels, probabilities)
    predicted, observed = [bin_.mean_predicted for bin_ in bins], [bin_.mean_observed for bin_ in bins]
    error = expected_calibration_error(labels, probabilities)
    axes.plot(predicted, observed, color=color, marker=marker, markersize=4, label=f"{name}: ECE {error:.4f}")
    return min(1.0, 1.1 * max([*predicted, *observed, 0.01]))
