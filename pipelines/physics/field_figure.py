"""Pictures of fields: truth, prediction, error."""

from collections.abc import Callable

import numpy as np

from tfmtl.operators import OperatorData, relative_l2_errors
from tfmtl.pipelines.physics.study import Field
from tfmtl.report.shown_figure import ShownFigure


def field_figure(
    data: OperatorData,
    fields: Field,
    picture: Callable[[Field], Field],
) -> ShownFigure:
    """One row per task, its sample of median error: what is true, what is predicted, and the difference.

    Args:
        data: test samples.
        fields: `(N, Q)`, predicted.
        picture: the values at all points `(Q,)` -> what is shown of them, `(rows, columns)`.
    """
    errors = relative_l2_errors(data.targets, fields, data.mask)
    figure = ShownFigure((9.6, 2.1 * len(data.task_names)), layout="constrained")
    axes = figure.subplots(len(data.task_names), 3, squeeze=False)
    for number, task in enumerate(data.task_names):
        rows = np.flatnonzero(data.tasks == number)
        row = rows[np.argsort(errors[rows])[len(rows) // 2]]
        inside = np.ones(data.targets.shape[1], bool) if data.mask is None else data.mask[row]
        truth, guess = (picture(np.where(inside, values[row], np.nan)) for values in (data.targets, fields))
        low, high = np.nanmin(truth), np.nanmax(truth)
        gap = np.nanmax(np.abs(guess - truth))
        shown = (
            (truth, f"{task}: truth", "viridis", low, high),
            (guess, f"prediction, relative error {errors[row]:.3f}", "viridis", low, high),
            (guess - truth, "error", "RdBu_r", -gap, gap),
        )
        for panel, (values, title, colors, least, most) in zip(axes[number], shown, strict=True):
            image = panel.imshow(values, cmap=colors, vmin=least, vmax=most, aspect="auto", origin="lower")
            panel.set_title(title, fontsize=9)
            panel.set_xticks([])
            panel.set_yticks([])
            figure.colorbar(image, ax=panel)
    return figure
