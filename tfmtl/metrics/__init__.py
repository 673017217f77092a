"""Metrics: exact ones on NumPy arrays, and a streaming one for training.

The exact metrics need NumPy alone. `HistogramAUC`, `MaskedMean` and `MaskedRMSE` load Keras, on first use, so that
evaluating stored predictions does not start TensorFlow.
"""

from typing import TYPE_CHECKING, Any

from tfmtl.metrics.calibration import ReliabilityBin, expected_calibration_error, reliability_table
from tfmtl.metrics.class_metrics import class_log_loss, macro_auc
from tfmtl.metrics.grouped_auc import GroupedAUC, grouped_auc
from tfmtl.metrics.log_loss import log_loss
from tfmtl.metrics.normalized_entropy import normalized_entropy
from tfmtl.metrics.normalized_gini import normalized_gini
from tfmtl.metrics.quantile_metrics import coverage, pinball_loss
from tfmtl.metrics.regression_error import mae, rmse
from tfmtl.metrics.roc_auc import roc_auc
from tfmtl.metrics.task_report import TaskReport, binary_report, regression_report

if TYPE_CHECKING:
    from tfmtl.metrics.histogram_auc import HistogramAUC
    from tfmtl.metrics.masked_mean import MaskedMean
    from tfmtl.metrics.masked_rmse import MaskedRMSE

__all__ = [
    "GroupedAUC",
    "HistogramAUC",
    "MaskedMean",
    "MaskedRMSE",
    "ReliabilityBin",
    "TaskReport",
    "binary_report",
    "class_log_loss",
    "coverage",
    "expected_calibration_error",
    "grouped_auc",
    "log_loss",
    "macro_auc",
    "mae",
    "normalized_entropy",
    "normalized_gini",
    "pinball_loss",
    "regression_report",
    "reliability_table",
    "rmse",
    "roc_auc",
]


def __getattr__(name: str) -> Any:
    if name == "HistogramAUC":
        from tfmtl.metrics.histogram_auc import HistogramAUC

        return HistogramAUC
    if name == "MaskedMean":
        from tfmtl.metrics.masked_mean import MaskedMean

        return MaskedMean
    if name == "MaskedRMSE":
        from tfmtl.metrics.masked_rmse import MaskedRMSE

        return MaskedRMSE
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}. It has: {__all__}.")
