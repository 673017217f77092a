"""What survival tables show of a model's curves: Antolini's and Harrell's index and the integrated Brier score."""

import numpy as np

from tfmtl.metrics.survival import antolini_index, harrell_index, integrated_brier_score
from tfmtl.survival import SurvivalCurves, censoring_curve, kaplan_meier

Rows = tuple[np.ndarray, np.ndarray]


def indices(judged: Rows, curves: SurvivalCurves, fitted: Rows, horizon: float) -> dict[str, float]:
    """The three of the judged rows, and the last one of the Kaplan-Meier curve of the fitted rows.

    Args:
        judged: times and events, each float `(n,)`.
        curves: a curve for each of them.
        fitted: times and events of the rows that the model knew; censoring is theirs.
        horizon: float. Brier's score is taken at 100 times up to it.
    """
    grid = np.linspace(0.0, horizon, 101)[1:]
    censoring = censoring_curve(*fitted)
    same = SurvivalCurves(grid, np.tile(kaplan_meier(*fitted).at(grid), (len(judged[0]), 1)))
    return {
        "antolini": antolini_index(*judged, curves),
        "harrell": harrell_index(*judged, -curves.expected_lifetime()),
        "ibs": integrated_brier_score(*judged, curves, grid, censoring),
        "ibs_kaplan_meier": integrated_brier_score(*judged, same, grid, censoring),
    }
