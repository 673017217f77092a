"""The metrics of parts of a split."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfmtl.data import PreparedData
from tfmtl.training.evaluate import metrics_of
from tfmtl.training.intervals import metric_intervals, take_rows
from tfmtl.training.row_slices import RowSlice, check_slices, slice_rows

FEW = 100
"""Labels, and events of a yes/no task, below which a slice is marked."""


def read_slices(data: PreparedData, texts: Sequence[str]) -> list[RowSlice]:
    """What `--slice` asks for, read before anything is computed.

    Raises:
        ValueError: it cannot be read, or asks for what is not known.
    """
    slices = [RowSlice.read(text) for text in texts]
    check_slices(data, slices)
    return slices


def slice_report(
    data: PreparedData,
    split: str,
    predicted: Mapping[str, Any],
    slices: Sequence[RowSlice],
    resamples: int,
    seed: int,
) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Slice -> task -> part -> metrics, `rows`, `intervals` (metric -> `low` and `high`) and whether there are `few`.

    Args:
        data: `PreparedData`.
        split: str.
        predicted: what `predict` returned for it.
        slices: as `read_slices` returned them.
        resamples: int. For the intervals.
        seed: int. Likewise.
    """
    if not slices:
        return {}
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for name, parts in slice_rows(data, split, slices).items():
        found[name] = {task.name: {} for task in data.problem.tasks}
        for part, chosen in parts.items():
            rows = take_rows(predicted, chosen)
            intervals = metric_intervals(data, rows, resamples, seed)
            for task, metrics in metrics_of(data, rows).items():
                found[name][task][part] = {
                    "rows": int(chosen.sum()),
                    "few": is_small(metrics),
                    **metrics,
                    "intervals": intervals.get(task, {}),
                }
    return found


def is_small(metrics: Mapping[str, Any]) -> bool:
    """Whether a task has too few labels, or too few of one class, to say much.

    Args:
        metrics: of the task.
    """
    labels = metrics.get("examples", metrics.get("rows", 0))
    mean = metrics.get("mean_label")
    rarer = labels if mean is None or "auc" not in metrics else labels * min(mean, 1.0 - mean)
    return bool(min(labels, round(rarer)) < FEW)
