"""An evaluation as tables: a row per task and model, for a constant and for trees."""

from collections.abc import Mapping
from typing import Any

from tfmtl.display.page import DisplayTable, Page
from tfmtl.display.small_classes import small_class_note

# Metric -> heading; in the order of the columns.
HEADINGS = {
    "auc": "AUC",
    "gauc": "GAUC",
    "log_loss": "log loss",
    "normalized_entropy": "NE",
    "ece": "ECE",
    "ece_calibrated": "ECE calibrated",
    "rmse": "RMSE",
    "mae": "MAE",
    "macro_auc": "macro AUC",
    "accuracy": "accuracy",
    "pinball": "pinball",
    "normalized_gini": "Gini",
    "harrell": "Harrell c",
    "antolini": "Antolini c",
    "uno": "Uno c",
    "ibs": "IBS",
    "ibs_calibrated": "IBS calibrated",
    "nll": "NLL",
    "d_calibration_p": "D-calibration p",
    "d_calibration_p_calibrated": "D-calibration p calibrated",
}


def metrics_page(reports: Mapping[str, Mapping[str, Mapping[str, Any]]], title: str) -> Page:
    """One table per kind of task, a column per metric; then what is behind the numbers.

    Args:
        reports: model -> task -> metric -> value, as `tfmtl.training.evaluate` returns it.
        title: str.
    """
    tasks = next(iter(reports.values()))
    kinds: dict[tuple[str, ...], list[str]] = {}
    for task, metrics in tasks.items():
        kinds.setdefault(tuple(name for name in HEADINGS if name in metrics), []).append(task)
    parts: list[DisplayTable | str] = [
        DisplayTable(
            ("task", "model", *(HEADINGS[name] for name in shown)), [_rows(reports, task, shown) for task in members]
        )
        for shown, members in kinds.items()
    ]
    warnings = []
    for task, metrics in tasks.items():
        if metrics.get("gauc_groups"):
            skipped = metrics["gauc_groups_skipped"]
            left_out = f"; {skipped} groups with labels of one class only are left out" if skipped else ""
            parts.append(f"GAUC of {task}: over {metrics['gauc_groups']} groups{left_out}")
        note = small_class_note(task, metrics)
        warnings += [] if note is None else [note]
    for task in tasks:
        worse = [model for model, report in reports.items() if (report[task].get("normalized_entropy") or 0.0) > 1.0]
        if worse:
            warnings.append(
                f"NE of {task} is above 1 ({', '.join(worse)}): its log loss is worse than that of the mean label. "
                "Calibrate it, or train for fewer epochs or at a lower learning rate."
            )
    return Page(title, parts, warnings)


def number(value: float | None) -> str:
    """A metric as it is shown."""
    return "undefined" if value is None else f"{value:.4f}"


def _rows(
    reports: Mapping[str, Mapping[str, Mapping[str, Any]]], task: str, shown: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """The rows of a task: each model, the constant, plain models, formulas."""
    first = next(iter(reports.values()))[task]
    rows = [(task, model, *(number(report[task][name]) for name in shown)) for model, report in reports.items()]
    if "baseline" in first:
        rows.append((task, "a constant", *(number(first["baseline"].get(name)) for name in shown)))
    for name, found in {**first.get("plain_models", {}), **first.get("scores", {})}.items():
        rows.append((task, name, *(number(found[each]) if each in found else "" for each in shown)))
    return rows
