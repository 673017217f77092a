"""Fit calibrators on the validation split, and report their effect."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmtl.export.calibration.calibrator import Calibrator, Floats, outputs_of
from tfmtl.export.calibration.isotonic_calibration import IsotonicCalibration
from tfmtl.export.calibration.kaplan_meier_calibration import KaplanMeierCalibration
from tfmtl.export.calibration.negative_sampling import NegativeSampling
from tfmtl.export.calibration.platt_scaling import PlattScaling
from tfmtl.schema import Problem, TaskRecord
from tfmtl.schema.checks import check_one_of, error_text
from tfmtl.schema.reserved import JOINT

FITTED_ON = "valid"
_FITTED: dict[str, type[Calibrator]] = {
    cls.method: cls for cls in (PlattScaling, IsotonicCalibration, KaplanMeierCalibration)
}


def calibrate(
    problem: Problem,
    methods: Mapping[str, str],
    labels: Mapping[str, Floats],
    predictions: Mapping[str, Floats],
    states: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Calibrator]:
    """A calibrator for each task of `methods`.

    Args:
        problem: `Problem`.
        methods: dict of task to a method that its kind has: `"platt"`, `"isotonic"` or `"negatives:<share of negatives
            kept>"`, which fits nothing, of a yes/no task, `"km"` of a lifetime.
        labels: dict of label key to array `(N,)`. Labels of the validation split, NaN where missing.
        predictions: dict of output name to array `(N, *inner)`. The model's predictions for the same rows.
        states: dict of task to what was fitted to its training labels, `ModelInputs.task_state`. Defaults to none.

    Raises:
        ValueError: a task or method is unknown, the task's kind has not this method, the split has too few labels, or
            the model puts negatives above positives.
    """
    known = {task.name: task for task in problem.tasks}
    calibrators: dict[str, Calibrator] = {}
    for task, method in methods.items():
        check_one_of("calibrate", "task", task, list(known))
        kind = _kind(problem, known[task], method)
        if kind is None:
            calibrators[task] = _negative_sampling(method)
            continue
        state = (states or {}).get(task, {})
        calibrators[task] = kind.of_task(known[task], state, outputs_of(task, labels), outputs_of(task, predictions))
    return calibrators


def _kind(problem: Problem, task: TaskRecord, method: str) -> type[Calibrator] | None:
    """The class that is fitted; None for one that is given."""
    name, colon, _ = method.partition(":")
    if not task.calibrators:
        rule = f"be a task that can be calibrated, which kind '{task.kind}' cannot"
        able = [each.name for each in problem.tasks if each.calibrators]
        raise ValueError(error_text("calibrate", "task", rule, task.name, f"Tasks to calibrate: {able}."))
    if name in (*_FITTED, NegativeSampling.method) and name not in task.calibrators:
        rule = f"be one that kind '{task.kind}' has, which are {list(task.calibrators)}, for task '{task.name}'"
        others = [each.name for each in problem.tasks if name in each.calibrators]
        raise ValueError(error_text("calibrate", "method", rule, name, f"Tasks that can have it: {others}."))
    check_one_of("calibrate", "method", name, list(task.calibrators))
    if name == NegativeSampling.method:
        return None
    if colon:
        raise ValueError(error_text("calibrate", "method", "have nothing after its name", method, f"Use {name!r}."))
    return _FITTED[name]


def _negative_sampling(method: str) -> NegativeSampling:
    try:
        return NegativeSampling(float(method.partition(":")[2]))
    except ValueError as error:
        advice = "Name the share of negatives that was kept, as in 'negatives:0.1'."
        raise ValueError(error_text("calibrate", "method", "say a share in (0, 1]", method, advice)) from error


def calibrated(calibrators: Mapping[str, Calibrator], predictions: Mapping[str, Any], in_graph: bool) -> dict[str, Any]:
    """The predictions of all tasks, output name -> values, with those of some tasks calibrated.

    Args:
        calibrators: task -> `Calibrator`.
        predictions: output name -> array, or tensor if `in_graph`.
        in_graph: bool. Whether they are tensors.
    """
    found = dict(predictions)
    for task, calibrator in calibrators.items():
        outputs = outputs_of(task, predictions)
        after = calibrator.of_tensors(outputs) if in_graph else calibrator.of_arrays(outputs)
        found |= {f"{task}{JOINT}{suffix}" if suffix else task: values for suffix, values in after.items()}
    return found


def calibration_report(
    calibrators: Mapping[str, Calibrator], splits: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the calibrators are and what they change, ready for JSON.

    Args:
        calibrators: task -> `Calibrator`.
        splits: split -> what `tfmtl.training.predict` returned for it. Splits without labels are left out.

    Returns:
        dict: task -> `method`, `parameters` and, for each split, `examples` and each measure before and after, such as
        `ece` and `ece_calibrated`. Of a yes/no task these are `ece`, over ten quantile bins, and `log_loss`; of a
        lifetime `ibs`, `nll`, `d_calibration_p` and `calibration_error`. On the validation split, where calibrators are
        fitted, they flatter.
    """
    report: dict[str, dict[str, Any]] = {}
    for task, calibrator in calibrators.items():
        report[task] = {"method": calibrator.method, "parameters": calibrator.parameters()}
        for split, result in splits.items():
            labels, before = outputs_of(task, result["labels"]), _in_double(outputs_of(task, result["predictions"]))
            examples = int(np.sum(~np.isnan(labels[""])))
            if not examples:
                continue
            after = calibrator.measures(labels, calibrator.of_arrays(before))
            measures = {
                key: value
                for name, plain in calibrator.measures(labels, before).items()
                for key, value in ((name, plain), (f"{name}_calibrated", after[name]))
            }
            report[task][split] = {"examples": examples, **measures}
    return report


def _in_double(outputs: Mapping[str, Any]) -> dict[str, Floats]:
    return {suffix: np.asarray(values, np.float64) for suffix, values in outputs.items()}
