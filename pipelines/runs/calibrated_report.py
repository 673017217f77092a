"""An evaluation with what calibration would change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfmtl.data import PreparedData
from tfmtl.export.calibration.calibrate import FITTED_ON, calibrate, calibration_report
from tfmtl.export.calibration.calibrator import Calibrator
from tfmtl.export.calibration.reliability_figure import save_reliability_figure


def add_calibration(
    report: dict[str, dict[str, Any]],
    data: PreparedData,
    split: str,
    predicted: Mapping[str, Mapping[str, Any]],
    methods: Mapping[str, str],
    figure: Path,
) -> dict[str, Calibrator]:
    """Adds `calibration` and what it changes, such as `log_loss_calibrated`, to the tasks' metrics; draws the figure.

    Args:
        report: task -> metric -> value, as `tfmtl.training.evaluate` returns it for the split.
        data: the data that the model was trained on.
        split: the split evaluated.
        predicted: split -> what `tfmtl.training.predict` returned, for this one and the validation split, which
            calibrators are fitted on.
        methods: task -> method, as `calibrate` takes them.
        figure: where the reliability figure goes.

    Returns:
        dict: task -> `Calibrator`.
    """
    valid, scored = predicted[FITTED_ON], {split: predicted[split]}
    calibrators = calibrate(data.problem, methods, valid["labels"], valid["predictions"], data.inputs.task_state)
    for task, facts in calibration_report(calibrators, scored).items():
        changed = {name: value for name, value in facts.get(split, {}).items() if name.endswith("_calibrated")}
        report[task] |= {"calibration": facts["method"], **changed}
    save_reliability_figure(figure, calibrators, scored)
    return calibrators
