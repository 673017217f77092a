"""The pictures of survival tasks, as matplotlib figures."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tfmtl.report.figures import INK, WIDTH, dressed
from tfmtl.survival import StepFunction

_COLORS = ("#b03a2e", "#e08a2e", "#3f9a74", "#3b6ea8")
_REFERENCE = "#8a93a0"


def risk_groups_figure(grid: np.ndarray, predicted: np.ndarray, observed: Sequence[StepFunction]) -> Figure:
    """Mean predicted curves of groups of rows, and their Kaplan-Meier curves as steps.

    Args:
        grid: `(M,)`, times.
        predicted: `(groups, M)`, from the highest risk down.
        observed: as many curves.
    """
    figure = Figure((WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    for number, (mean, curve) in enumerate(zip(predicted, observed, strict=True)):
        color = _COLORS[number % len(_COLORS)]
        label = f"group {number + 1}: predicted"
        axes.plot(np.append(0.0, grid), np.append(1.0, mean), color=color, linewidth=1.5, label=label)
        seen = curve.times <= grid[-1]
        axes.step(
            np.append(0.0, curve.times[seen]),
            np.append(1.0, curve.values[seen]),
            where="post",
            color=color,
            linewidth=1.1,
            linestyle=":",
            label="Kaplan-Meier",
        )
    axes.set_xlabel("time")
    axes.set_ylabel("survival")
    axes.set_ylim(0.0, 1.02)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8.5)
    return dressed(figure)


def over_time_figure(grid: np.ndarray, brier: Mapping[str, np.ndarray], auc: np.ndarray) -> Figure:
    """Brier score and AUC of "has ended by t", over t.

    Args:
        grid: `(M,)`, times.
        brier: name of what was measured, such as the model and Kaplan-Meier -> `(M,)`.
        auc: `(M,)` of the model, NaN where undefined.
    """
    figure = Figure((WIDTH, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, values), color in zip(brier.items(), (_COLORS[3], _REFERENCE), strict=False):
        left.plot(grid, values, color=color, linewidth=1.5, label=name)
    left.set_ylabel("Brier score")
    left.set_ylim(bottom=0.0)
    left.legend(frameon=False, fontsize=8.5)
    right.plot(grid, auc, color=_COLORS[3], linewidth=1.5)
    right.axhline(0.5, color=_REFERENCE, linewidth=0.9, linestyle="--")
    right.set_ylabel("AUC of having ended")
    right.set_ylim(0.4, 1.0)
    for axes in (left, right):
        axes.set_xlabel("time")
    return dressed(figure)


def d_calibration_figure(counts: Sequence[float]) -> Figure:
    """Shares of the rows by predicted survival at their own time; even ones are calibrated.

    Args:
        counts: rows of each bin, from the lowest survival up.
    """
    shares = np.asarray(counts, np.float64) / max(float(np.sum(counts)), 1.0)
    figure = Figure((WIDTH / 2.0, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.bar((np.arange(len(shares)) + 0.5) / len(shares), shares, 0.9 / len(shares), color=_COLORS[3])
    axes.axhline(1.0 / len(shares), color=INK, linewidth=0.9, linestyle="--")
    axes.set_xlabel("predicted survival at the end of life")
    axes.set_ylabel("share of rows")
    return dressed(figure)
