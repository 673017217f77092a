"""Intervals of a run's metrics, and of the difference between two runs, over the rows of a split."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.metrics.bootstrap import group_numbers, percentile_interval, resampled_rows
from tfmtl.metrics.directions import direction
from tfmtl.schema.checks import check_positive_int
from tfmtl.training.evaluate import metrics_of

RESAMPLES = 200
_NO_METRICS = ("mean_prediction", "mean_label")
BETTER, WORSE, EQUAL = "better", "worse", "no difference shown"

Report = dict[str, dict[str, Any]]


def take_rows(predicted: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """Some rows of what `predict` returned.

    Args:
        predicted: as `predict` returned it.
        rows: indices, or a mask.
    """
    labels = {key: values[rows] for key, values in predicted["labels"].items()}
    outputs = {name: values[rows] for name, values in predicted["predictions"].items()}
    return {"groups": predicted["groups"][rows], "labels": labels, "predictions": outputs}


def metric_intervals(
    data: PreparedData, predicted: Mapping[str, Any], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Task -> metric -> `low` and `high`, the ends of its 95 % interval; a metric that has none is left out.

    Rows are drawn by the problem's group, where it has one.

    Args:
        data: `PreparedData`.
        predicted: what `predict` returned.
        resamples: int. Defaults to `200`.
        seed: int. Defaults to `0`.
    """
    drawn = _resampled(data, [predicted], resamples, seed)
    return {
        task: {
            metric: interval._asdict()
            for metric in metrics
            if (interval := percentile_interval([report[0][task].get(metric) for report in drawn])) is not None
        }
        for task, metrics in _metrics(metrics_of(data, predicted, baselines=False)).items()
    }


def compare(
    data: PreparedData,
    predicted: Mapping[str, Any],
    baseline: Mapping[str, Any],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Report:
    """Whether a run is better than another one, on the same rows of a split.

    The same rows are drawn for both (a paired bootstrap), by the problem's group where it has one, so that what makes
    rows easy or hard for both drops out.

    Args:
        data: `PreparedData`.
        predicted: what `predict` returned of the run.
        baseline: of the other run, for the same split.
        resamples: int. Defaults to `200`.
        seed: int. Defaults to `0`.

    Returns:
        dict: task -> metric -> `value`, `baseline`, `difference`, its 95 % interval `low` and `high` (None where too
        few resamples define it) and `verdict`: `"better"`, `"worse"` or `"no difference shown"`; None of a metric that
        has no better side.

    Raises:
        ValueError: the two are not of the same rows.
    """
    same = [np.array_equal(predicted["groups"], baseline["groups"])]
    same += [np.array_equal(v, baseline["labels"].get(k), equal_nan=True) for k, v in predicted["labels"].items()]
    if not all(same):
        raise ValueError("compare: `baseline` must be of the same rows as `predicted`. Predict the same split of both.")
    drawn = _resampled(data, [predicted, baseline], resamples, seed)
    own, other = (metrics_of(data, each, baselines=False) for each in (predicted, baseline))
    found: Report = {}
    for task, metrics in _metrics(own).items():
        monitor = data.problem.task(task).monitor
        found[task] = {}
        for metric in metrics:
            pairs = [(new[task].get(metric), old[task].get(metric)) for new, old in drawn]
            interval = percentile_interval([None if a is None or b is None else a - b for a, b in pairs])
            way = direction(metric, monitor)
            values = own[task][metric], other[task][metric]
            found[task][metric] = {
                "value": values[0],
                "baseline": values[1],
                "difference": None if None in values else values[0] - values[1],
                "low": interval and interval.low,
                "high": interval and interval.high,
                "verdict": _verdict(interval, way) if way else None,
            }
    return found


def _verdict(interval: tuple[float, float] | None, way: int) -> str:
    if interval is None or interval[0] <= 0.0 <= interval[1]:
        return EQUAL
    return BETTER if interval[0] * way > 0.0 else WORSE


def _resampled(data: PreparedData, all_predicted: list[Mapping[str, Any]], resamples: int, seed: int) -> list[Any]:
    """The metrics of every resample, a report for each of the runs."""
    check_positive_int("evaluate", "resamples", resamples)
    rows = len(all_predicted[0]["groups"])
    groups = group_numbers(all_predicted[0]["groups"]) if data.problem.group_column is not None and rows else None
    if not rows:
        return []
    # Numbers are grouped faster than names.
    numbered = [{**each, "groups": each["groups"] if groups is None else groups} for each in all_predicted]
    return [
        [metrics_of(data, take_rows(each, chosen), baselines=False) for each in numbered]
        for chosen in resampled_rows(rows, groups, resamples, seed)
    ]


def _metrics(report: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Task -> what of its report is measured, and not counted."""
    return {
        task: [
            name
            for name, value in metrics.items()
            if (value is None or isinstance(value, float)) and name not in _NO_METRICS
        ]
        for task, metrics in report.items()
    }
