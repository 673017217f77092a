"""All exact metrics of one task in one flat, JSON-ready dict."""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from tfmtl.core.validation import check_one_of
from tfmtl.metrics._labeled_rows import LabeledRows, probability_rows, regression_rows
from tfmtl.metrics.calibration import expected_calibration_error
from tfmtl.metrics.grouped_auc import grouped_auc
from tfmtl.metrics.log_loss import log_loss
from tfmtl.metrics.normalized_entropy import normalized_entropy
from tfmtl.metrics.regression_error import mae, rmse
from tfmtl.metrics.roc_auc import roc_auc

TASK_KINDS = ("binary", "regression")
TaskReport: TypeAlias = dict[str, float | int | None]


def evaluate_task(kind: str, labels: ArrayLike, predictions: ArrayLike, groups: ArrayLike | None = None) -> TaskReport:
    """Returns every metric of one task; an undefined value (NaN) is None, since JSON has no NaN.

    Keys of a binary task: `auc`, `gauc`, `gauc_groups`, `gauc_groups_skipped` (these three only where `groups` is
    given), `log_loss`, `normalized_entropy`, `ece` (ten quantile bins), `mean_prediction`, `mean_label`, `examples`,
    `missing_labels`. Keys of a regression task: `rmse`, `mae`, `mean_prediction`, `mean_label`, `examples`,
    `missing_labels`. `examples` counts the labeled rows, and every mean is over them alone.

    Shapes: N rows.

    Args:
        kind: `"binary"` or `"regression"`.
        labels: `(N,)`, NaN where the label is missing; otherwise 0 or 1 for a binary task, finite for a regression.
        predictions: `(N,)`, probabilities for a binary task, values for a regression.
        groups: `(N,)` of str, bytes or integers, or None. Whose impression a row is, for `gauc`; a regression task
            has no use for it. Defaults to `None`.

    Raises:
        TypeError: a column does not hold what it should.
        ValueError: the kind is unknown, a column is not `(N,)`, or a value is out of its range.

    Example:

    >>> evaluate_task("regression", [1.0, float("nan")], [3.0, 5.0])["mae"]
    2.0
    """
    check_one_of("evaluate_task", "kind", kind, TASK_KINDS)
    if kind == "binary":
        report = _evaluate_binary(labels, predictions, groups)
    else:
        report = _evaluate_regression(labels, predictions)
    return {key: None if value is None or math.isnan(value) else value for key, value in report.items()}


def _evaluate_binary(labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike | None) -> TaskReport:
    rows = probability_rows("evaluate_task", labels, probabilities)
    report: TaskReport = {"auc": roc_auc(labels, probabilities)}
    if groups is not None:
        grouped = grouped_auc(labels, probabilities, groups)
        report["gauc"] = grouped.value
        report["gauc_groups"] = grouped.num_groups
        report["gauc_groups_skipped"] = grouped.num_skipped_one_class
    report["log_loss"] = log_loss(labels, probabilities)
    report["normalized_entropy"] = normalized_entropy(labels, probabilities)
    report["ece"] = expected_calibration_error(labels, probabilities)
    return report | _means_and_counts(rows)


def _evaluate_regression(labels: ArrayLike, predictions: ArrayLike) -> TaskReport:
    rows = regression_rows("evaluate_task", labels, predictions)
    return {"rmse": rmse(labels, predictions), "mae": mae(labels, predictions)} | _means_and_counts(rows)


def _means_and_counts(rows: LabeledRows) -> TaskReport:
    num_examples = int(rows.labels.size)
    return {
        "mean_prediction": float(np.mean(rows.predictions)) if num_examples else None,
        "mean_label": float(np.mean(rows.labels)) if num_examples else None,
        "examples": num_examples,
        "missing_labels": int(rows.present.size) - num_examples,
    }
