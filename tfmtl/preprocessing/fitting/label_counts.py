"""Counts of labels, and the facts fitted to them."""

import math
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.features.number_counts import ROUNDED_BITS, count_numbers, rounded, shortened
from tfmtl.features.number_facts import NumberFacts, moments
from tfmtl.preprocessing import columns
from tfmtl.schema import TaskRecord
from tfmtl.tasks import behavior_of


def count_labels(task: TaskRecord, examples: pa.RecordBatch) -> pa.Table:
    """Counts of every label (of several parts: every combination of them), at 16 significant bits."""
    primary = examples.column(columns.label(task.name))
    if task.counted_parts == ("",):
        return count_numbers(primary)
    known = examples.filter(pc.is_valid(primary))
    found = {}
    for part in task.counted_parts:
        values = pc.fill_null(known.column(columns.label(task.label_keys[part])), math.nan)
        found[part or "value"] = pa.array(shortened(values.to_numpy(zero_copy_only=False), ROUNDED_BITS))
    return pa.table(found).group_by(list(found)).aggregate([([], "count_all")]).rename_columns([*found, "count"])


class LabelFacts:
    """The facts fitted to the merged counts of a task's labels.

    Args:
        task: `TaskRecord`.
        counts: merged tables of `count_labels`, `None` without rows.
    """

    def __init__(self, task: TaskRecord, counts: pa.Table | None) -> None:
        self._task = task
        self._counts = counts

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the primary part; (0, 1) without labels."""
        if self._counts is None or "bits" in self._counts.column_names:
            return NumberFacts(self._counts).moments()
        return moments(self._counts["value"].to_numpy().astype(float), self._counts["count"].to_numpy())

    @cached_property
    def state(self) -> dict[str, Any]:
        """The state that the task's kind fits to them."""
        counts = self._counts
        if counts is not None and "bits" in counts.column_names:
            counts = rounded(counts).drop_columns("bits")
        return dict(behavior_of(self._task).fit_labels(counts))
