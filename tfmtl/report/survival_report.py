"""The page about the survival tasks of a trained model."""

from pathlib import Path
from typing import Any

from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel
from tfmtl.report.ablation import without_features
from tfmtl.report.page import write_page
from tfmtl.report.survival_section import survival_section
from tfmtl.schema.checks import error_text
from tfmtl.training.evaluate import metric_ends, metrics_of, predict

_SHOWN = ("harrell", "antolini", "ibs")


def survival_report(
    model: MultiTaskModel, data: PreparedData, path: str | Path, split: str = "test", ablation: bool = True
) -> dict[str, Any]:
    """Writes an HTML page that needs no network, and returns the facts that it shows.

    Curves by risk group beside Kaplan-Meier, Brier score and AUC over time, D-calibration, every index beside that of
    Kaplan-Meier, how far terms of one lifetime disagree, and what is lost without single features.

    Args:
        model: `MultiTaskModel`.
        data: `PreparedData`.
        path: str or Path. The HTML file.
        split: train, valid or test. Defaults to `"test"`.
        ablation: bool. Whether single features are left out, which takes one more pass each. Defaults to `True`.

    Raises:
        ValueError: the problem has no survival task, or the model was trained on other data.
    """
    tasks = [task.name for task in data.problem.tasks if task.has_curve]
    if not tasks:
        advice = "Use the data report, or the page of a run."
        raise ValueError(error_text("survival_report", "data", "have a survival task", data.problem.name, advice))
    predicted = predict(model, data, split)
    metrics = metrics_of(data, predicted)
    section = survival_section(data, predicted, metrics, metric_ends(data, predicted))
    rows = []
    if ablation:
        found = {"nothing": metrics, **without_features(model, data, split, predicted)}
        rows = [
            {"task": task, "feature": feature, **{name: each[task].get(name) for name in _SHOWN}}
            for task in tasks
            for feature, each in found.items()
        ]
    facts = {"problem": data.problem.name, "split": split, "survival": section, "ablation": rows}
    write_page(path, "survival_report.html", facts, section.pictures)
    return {
        "tasks": section.tasks,
        "disagreements": section.disagreements,
        "ablation": rows,
    }
