"""Survival analysis: estimates from censored times, cut points and survival curves.

Needs NumPy alone: preprocessing, metrics and reports use it. What turns raw outputs into curves inside a graph is in
`tfmtl.survival.raw_curves`, which is not loaded here.
"""

from tfmtl.survival.breslow import breslow_baseline
from tfmtl.survival.curves import SurvivalCurves
from tfmtl.survival.cut_points import CutPoints, equal_cuts, given_cuts, quantile_cuts, survival_quantile_cuts
from tfmtl.survival.estimates import censoring_curve, kaplan_meier, median_follow_up, nelson_aalen
from tfmtl.survival.step_function import StepFunction

__all__ = [
    "CutPoints",
    "StepFunction",
    "SurvivalCurves",
    "breslow_baseline",
    "censoring_curve",
    "equal_cuts",
    "given_cuts",
    "kaplan_meier",
    "median_follow_up",
    "nelson_aalen",
    "quantile_cuts",
    "survival_quantile_cuts",
]
