"""All exact metrics of one task in one flat, JSON-ready dict."""

import math
from typing import TypeAlias

from numpy.typing import ArrayLike

from tfmtl.metrics._labeled_rows import LabeledRows, probability_rows, regression_rows
from tfmtl.metrics.calibration import expected_calibration_error
from tfmtl.metrics.grouped_auc import grouped_auc
from tfmtl.metrics.log_loss import log_loss
from tfmtl.metrics.normalized_entropy import normalized_entropy
from tfmtl.metrics.regression_error import mae, rmse
from tfmtl.metrics.roc_auc import roc_auc

TaskReport: TypeAlias = dict[str, float | int | None]


def binary_report(
    labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike | None = None, weights: ArrayLike | None = None
) -> TaskReport:
    """Returns every metric of a yes/no task; an undefined value (NaN) is None, since JSON has no NaN.

    Keys: `auc`, `gauc`, `gauc_groups`, `gauc_groups_skipped` (these three only where `groups` is given), `log_loss`,
    `normalized_entropy`, `ece` (ten quantile bins), `mean_prediction`, `mean_label`, `examples`, `missing_labels`.
    `examples` counts the labeled rows, and every mean is over them alone.

    Shapes: N rows.

    Args:
        labels: `(N,)`, 0, 1 or NaN. A row whose label is NaN (missing) is dropped.
        probabilities: `(N,)`, in [0, 1].
        groups: `(N,)` of str, bytes or integers, or None. Whose impression a row is, for `gauc`. Defaults to `None`.
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Raises:
        TypeError: a column does not hold what it should.
        ValueError: a column is not `(N,)`, or a value is out of its range.

    Example:

    >>> binary_report([0, 1, float("nan")], [0.2, 0.7, 0.5])["auc"]
    1.0
    """
    rows = probability_rows("binary_report", labels, probabilities, weights)
    report: TaskReport = {"auc": roc_auc(labels, probabilities, weights)}
    if groups is not None:
        grouped = grouped_auc(labels, probabilities, groups, weights)
        report["gauc"] = grouped.value
        report["gauc_groups"] = grouped.num_groups
        report["gauc_groups_skipped"] = grouped.num_skipped_one_class
    report["log_loss"] = log_loss(labels, probabilities, weights)
    report["normalized_entropy"] = normalized_entropy(labels, probabilities, weights)
    report["ece"] = expected_calibration_error(labels, probabilities, weights=weights)
    return without_nan(report | means_and_counts(rows))


def regression_report(labels: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None = None) -> TaskReport:
    """Returns every metric of a task that predicts a number; an undefined value (NaN) is None.

    Keys: `rmse`, `mae`, `mean_prediction`, `mean_label`, `examples`, `missing_labels`, as in `binary_report`.

    Shapes: N rows.

    Args:
        labels: `(N,)`, finite or NaN. A row whose label is NaN (missing) is dropped.
        predictions: `(N,)`, finite.
        weights: `(N,)` or None. A row of weight w counts as w rows. Defaults to `None`, every row counts once.

    Raises:
        TypeError: a column does not hold what it should.
        ValueError: a column is not `(N,)`, or a value is out of its range.

    Example:

    >>> regression_report([1.0, float("nan")], [3.0, 5.0])["mae"]
    2.0
    """
    rows = regression_rows("regression_report", labels, predictions, weights)
    report: TaskReport = {"rmse": rmse(labels, predictions, weights), "mae": mae(labels, predictions, weights)}
    return without_nan(report | means_and_counts(rows))


def without_nan(report: TaskReport) -> TaskReport:
    """The report with None in place of NaN, which JSON has not."""
    return {key: None if value is None or math.isnan(value) else value for key, value in report.items()}


def means_and_counts(rows: LabeledRows) -> TaskReport:
    """What every report ends with."""
    return {
        "mean_prediction": rows.mean(rows.predictions),
        "mean_label": rows.mean(rows.labels),
        "examples": int(rows.labels.size),
        "missing_labels": int(rows.present.size - rows.labels.size),
    }
