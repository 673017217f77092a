"""Exact metrics of survival predictions, in NumPy: each index named, none mistaken for another."""

from tfmtl.metrics.survival.antolini import antolini_index, antolini_rows
from tfmtl.metrics.survival.auc_at_times import auc_at_times
from tfmtl.metrics.survival.brier import brier_scores, integrated_brier_rows, integrated_brier_score
from tfmtl.metrics.survival.by_cause import brier_scores_of_cause, harrell_index_of_cause
from tfmtl.metrics.survival.calibration_at import SurvivalGroup, survival_calibration
from tfmtl.metrics.survival.confidence import IndexInterval, index_difference, index_interval
from tfmtl.metrics.survival.d_calibration import DCalibration, d_calibration
from tfmtl.metrics.survival.harrell import harrell_index, harrell_rows
from tfmtl.metrics.survival.row_sums import RowSums
from tfmtl.metrics.survival.uno import uno_index, uno_rows

__all__ = [
    "DCalibration",
    "IndexInterval",
    "RowSums",
    "SurvivalGroup",
    "antolini_index",
    "antolini_rows",
    "auc_at_times",
    "brier_scores",
    "brier_scores_of_cause",
    "d_calibration",
    "harrell_index",
    "harrell_index_of_cause",
    "harrell_rows",
    "index_difference",
    "index_interval",
    "integrated_brier_rows",
    "integrated_brier_score",
    "survival_calibration",
    "uno_index",
    "uno_rows",
]
