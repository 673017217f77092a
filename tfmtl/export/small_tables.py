"""Exports with small tables: what the model answers then, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.export.stored_table import StoredTable, stored_table
from tfmtl.schema.checks import error_text

if TYPE_CHECKING:  # replaying an export must not load the layers
    from tfmtl.models import MultiTaskModel

MOST_AUC = 0.0005
"""How much of a task's AUC on the validation split small tables may cost."""


@contextmanager
def small_tables(model: MultiTaskModel, form: str | None) -> Iterator[dict[str, StoredTable]]:
    """Yields the model's tables in a form, by width as text; while it is open, the model answers as with them.

    So what is recorded of the training graph then, such as golden answers, is exactly what the export has to answer.
    The model's own tables are put back at the end.

    Args:
        model: `MultiTaskModel`.
        form: `"fp16"`, `"int8"`, or `None`: nothing is yielded or changed.

    Raises:
        ValueError: no such form, or it cannot hold a table.
    """
    own = {} if form is None else {width: table.numpy() for width, table in model.embedding.tables.items()}
    stored = {width: stored_table(str(form), values) for width, values in own.items()}
    try:
        for width, table in stored.items():
            model.embedding.tables[width].assign(table.restored())
        yield stored
    finally:
        for width, values in own.items():
            model.embedding.tables[width].assign(values)


def table_report(
    form: str,
    stored: Mapping[str, StoredTable],
    data: PreparedData,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> dict[str, Any]:
    """What the form saves and costs, ready for JSON.

    Args:
        form: `"fp16"` or `"int8"`.
        stored: what `small_tables` yielded.
        data: `PreparedData`.
        before: what `tfmtl.training.evaluate.predict` returned for a split with the model's own tables.
        after: the same with the stored ones.

    Returns:
        dict: `form`; `bytes` and `bytes_float32` of all tables; `examples`; `largest_difference` of any output,
        absolute for values up to 1, relative above, `None` without examples; and `auc`, task -> its AUC `before` and
        `after`.

    Raises:
        ValueError: a task's AUC falls by more than .0005.
    """
    from tfmtl.training.evaluate import metrics_of  # loads the layers

    reports = [metrics_of(data, predicted, baselines=False) for predicted in (before, after)]
    pairs = {task: [report[task].get("auc") for report in reports] for task in reports[0]}
    auc = {task: {"before": a, "after": b} for task, (a, b) in pairs.items() if a is not None and b is not None}
    fallen = {task: each["after"] - each["before"] for task, each in auc.items()}
    worst = min(fallen, key=lambda task: fallen[task], default=None)
    if worst is not None and fallen[worst] < -MOST_AUC:
        rule = f"cost at most {MOST_AUC} of a task's AUC on the validation split"
        advice = f"It changes '{worst}' by {fallen[worst]:+.5f}. Use {'fp16' if form == 'int8' else 'no such option'}."
        raise ValueError(error_text("export", "tables", rule, form, advice))
    examples = len(next(iter(before["predictions"].values())))
    return {
        "form": form,
        "bytes": sum(table.num_bytes for table in stored.values()),
        "bytes_float32": sum(4 * int(np.prod(table.values.shape)) for table in stored.values()),
        "examples": examples,
        "largest_difference": _largest(before["predictions"], after["predictions"]) if examples else None,
        "auc": auc,
    }


def report_text(report: Mapping[str, Any]) -> str:
    """A report in one line."""
    text = f"Tables as {report['form']}: {report['bytes'] / 1e6:.1f} MB in place of {report['bytes_float32'] / 1e6:.1f}"
    if report["largest_difference"] is None:
        return f"{text}; no validation examples to compare scores of."
    changes = ", ".join(f"{task} {each['after'] - each['before']:+.5f}" for task, each in report["auc"].items())
    text += (
        f"; on {report['examples']} validation examples a score changes by {report['largest_difference']:.1e} at most"
    )
    return f"{text}, AUC by: {changes}." if changes else f"{text}."


def _largest(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    gaps = [
        np.max(np.abs(np.asarray(after[name]) - values) / np.maximum(1.0, np.abs(values)))
        for name, values in ((name, np.asarray(values, np.float64)) for name, values in before.items())
    ]
    return float(np.max(gaps))
