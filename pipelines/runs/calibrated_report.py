"""An evaluation with what calibration would change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfmtl.data import PreparedData
from tfmtl.export.calibration.calibrate import FITTED_ON, calibrate, calibration_report
from tfmtl.export.calibration.calibrator import Calibrator
from tfmtl.export.calibration.reliability_figure import save_reliability_figure
from tfmtl.models import MultiTaskModel
from tfmtl.training import predict


def add_calibration(
    report: dict[str, dict[str, Any]],
    model: MultiTaskModel,
    data: PreparedData,
    split: str,
    methods: Mapping[str, str],
    figure: Path,
) -> dict[str, Calibrator]:
    """Adds `calibration`, `ece_calibrated` and `log_loss_calibrated` to the tasks' metrics, and draws the figure.

    Args:
        report: task -> metric -> value, as `tfmtl.training.evaluate` returned it for the split.
        model: the model evaluated.
        data: the data it was trained on; its validation split is what calibrators are fitted on.
        split: the split evaluated.
        methods: task -> method, as `calibrate` takes them.
        figure: where the reliability figure goes.

    Returns:
        dict: task -> `Calibrator`.
    """
    valid = predict(model, data, FITTED_ON)
    scored = valid if split == FITTED_ON else predict(model, data, split)
    calibrators = calibrate(data.problem, methods, valid["labels"], valid["predictions"])
    for task, facts in calibration_report(calibrators, {split: scored}).items():
        changed = {name: value for name, value in facts.get(split, {}).items() if name.endswith("_calibrated")}
        report[task] |= {"calibration": facts["method"], **changed}
    save_reliability_figure(figure, calibrators, {split: scored})
    return calibrators
