"""Fit calibrators on the validation split, and report their effect."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmtl.export.calibration.calibrator import Calibrator, Floats
from tfmtl.export.calibration.isotonic_calibration import IsotonicCalibration
from tfmtl.export.calibration.negative_sampling import NegativeSampling
from tfmtl.export.calibration.platt_scaling import PlattScaling
from tfmtl.metrics import expected_calibration_error, log_loss
from tfmtl.schema import Problem
from tfmtl.schema.checks import check_one_of, error_text

FITTED_ON = "valid"
_FITTED: dict[str, type[PlattScaling] | type[IsotonicCalibration]] = {
    cls.method: cls for cls in (PlattScaling, IsotonicCalibration)
}


def calibrate(
    problem: Problem, methods: Mapping[str, str], labels: Mapping[str, Floats], predictions: Mapping[str, Floats]
) -> dict[str, Calibrator]:
    """A calibrator for each task of `methods`.

    Args:
        problem: `Problem`.
        methods: dict of task to `"platt"`, `"isotonic"` or `"negatives:<share of negatives kept>"`; the last fits
            nothing.
        labels: dict of task to array `(N,)`. Labels of the validation split, NaN where missing.
        predictions: dict of task to array `(N,)`. The model's probabilities for the same rows.

    Raises:
        ValueError: a task is unknown or its score no probability, a method unknown, the split has not both labels, or
            the model puts negatives above positives.
    """
    known = {task.name: task for task in problem.tasks}
    calibrators: dict[str, Calibrator] = {}
    for task, method in methods.items():
        check_one_of("calibrate", "task", task, list(known))
        if not known[task].calibrates:
            able = [name for name, each in known.items() if each.calibrates]
            rule = f"be a task whose score is a probability, which kind '{known[task].kind}' has not"
            raise ValueError(error_text("calibrate", "task", rule, task, f"Tasks to calibrate: {able}."))
        calibrators[task] = _calibrator(task, method, labels[task], predictions[task])
    return calibrators


def _calibrator(task: str, method: str, labels: Floats, predictions: Floats) -> Calibrator:
    name, colon, share = method.partition(":")
    check_one_of("calibrate", "method", name, [*_FITTED, NegativeSampling.method])
    if name == NegativeSampling.method:
        try:
            return NegativeSampling(float(share))
        except ValueError as error:
            advice = "Name the share of negatives that was kept, as in 'negatives:0.1'."
            raise ValueError(error_text("calibrate", "method", "say a share in (0, 1]", method, advice)) from error
    if colon:
        raise ValueError(error_text("calibrate", "method", "have nothing after its name", method, f"Use {name!r}."))
    known = ~np.isnan(labels)
    rows, probabilities = labels[known].astype(np.float64), predictions[known].astype(np.float64)
    if len(set(rows.tolist())) < 2:
        rule = "have positive and negative labels in the validation split"
        raise ValueError(error_text("calibrate", "task", rule, task, "Leave it as it is, or validate on more."))
    try:
        return _FITTED[name].fit(rows, probabilities)
    except ValueError as error:
        raise ValueError(f"calibrate: task '{task}' cannot be calibrated by '{name}'. {error}") from error


def calibration_report(
    calibrators: Mapping[str, Calibrator], splits: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the calibrators are and what they change, ready for JSON.

    Args:
        calibrators: task -> `Calibrator`.
        splits: split -> what `tfmtl.training.predict` returned for it. Splits without labels are left out.

    Returns:
        dict: task -> `method`, `parameters` and, for each split, `examples`, `ece`, `ece_calibrated`, `log_loss`,
        `log_loss_calibrated`; the errors are over ten quantile bins. On the validation split, where calibrators are
        fitted, they flatter.
    """
    report: dict[str, dict[str, Any]] = {}
    for task, calibrator in calibrators.items():
        report[task] = {"method": calibrator.method, "parameters": calibrator.parameters()}
        for split, result in splits.items():
            labels, before = result["labels"][task], np.asarray(result["predictions"][task], np.float64)
            examples = int(np.sum(~np.isnan(labels)))
            if not examples:
                continue
            after = calibrator.of_array(before)
            report[task][split] = {
                "examples": examples,
                "ece": expected_calibration_error(labels, before),
                "ece_calibrated": expected_calibration_error(labels, after),
                "log_loss": log_loss(labels, before),
                "log_loss_calibrated": log_loss(labels, after),
            }
    return report
