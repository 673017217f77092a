"""Metrics: exact ones on NumPy arrays, and a streaming one for training.

The exact metrics need NumPy alone. `HistogramAUC` and `MaskedRMSE` load Keras, on first use, so that evaluating stored
predictions does not start TensorFlow.
"""

from typing import TYPE_CHECKING, Any

from tfmtl.metrics.calibration import ReliabilityBin, expected_calibration_error, reliability_table
from tfmtl.metrics.grouped_auc import GroupedAUC, grouped_auc
from tfmtl.metrics.log_loss import log_loss
from tfmtl.metrics.normalized_entropy import normalized_entropy
from tfmtl.metrics.regression_error import mae, rmse
from tfmtl.metrics.roc_auc import roc_auc
from tfmtl.metrics.task_report import TaskReport, binary_report, regression_report

if TYPE_CHECKING:
    from tfmtl.metrics.histogram_auc import HistogramAUC
    from tfmtl.metrics.masked_rmse import MaskedRMSE

__all__ = [
    "GroupedAUC",
    "HistogramAUC",
    "MaskedRMSE",
    "ReliabilityBin",
    "TaskReport",
    "binary_report",
    "expected_calibration_error",
    "grouped_auc",
    "log_loss",
    "mae",
    "normalized_entropy",
    "regression_report",
    "reliability_table",
    "rmse",
    "roc_auc",
]


def __getattr__(name: str) -> Any:
    if name == "HistogramAUC":
        from tfmtl.metrics.histogram_auc import HistogramAUC

        return HistogramAUC
    if name == "MaskedRMSE":
        from tfmtl.metrics.masked_rmse import MaskedRMSE

        return MaskedRMSE
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}. It has: {__all__}.")
