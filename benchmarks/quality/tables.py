"""Markdown tables of runs: mean ± standard deviation over the seeds, paired tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

SHOWN = {"auc": "AUC", "gauc": "GAUC", "log_loss": "log loss", "rmse": "RMSE", "mae": "MAE"}
_LOWER_IS_BETTER = {"log_loss", "rmse", "mae"}

Record = dict[str, Any]


def values(records: Sequence[Record], variant: str, task: str, metric: str) -> np.ndarray:
    """A variant's test values in the order of the seeds; empty where the metric does not exist."""
    own = sorted((record for record in records if record["variant"] == variant), key=lambda record: record["seed"])
    found = [record["test"][task].get(metric) for record in own]
    return np.array([value for value in found if value is not None], dtype=float)


def quality_table(records: Sequence[Record], baselines: Sequence[str] = ()) -> str:
    """A row per task and variant.

    Args:
        records: of the chosen runs, all variants with the same seeds.
        baselines: variants that the others are tested against: against the best of them by test mean, which favors
            the baseline. Empty for no test. Defaults to none.
    """
    variants = list(dict.fromkeys(record["variant"] for record in records))
    parameters = {record["variant"]: record["parameters"] for record in records}
    rates = {record["variant"]: record["learning_rate"] for record in records}
    shown = [
        metric for metric in SHOWN if any(metric in task for record in records for task in record["test"].values())
    ]
    head = ["task", "model", *(SHOWN[metric] for metric in shown), "parameters", "rate"]
    if baselines:
        head.append("against the best baseline")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for task in records[0]["test"]:
        for variant in variants:
            cells = [mean_and_deviation(values(records, variant, task, metric)) for metric in shown]
            row = [task, variant, *cells, f"{parameters[variant]:,}", f"{rates[variant]:g}"]
            if baselines:
                row.append("" if variant in baselines else _against(records, variant, task, baselines))
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def best_baseline(records: Sequence[Record], task: str, metric: str, baselines: Sequence[str]) -> str:
    """The baseline with the best test mean."""
    sign = -1.0 if metric in _LOWER_IS_BETTER else 1.0
    return max(baselines, key=lambda name: sign * float(np.mean(values(records, name, task, metric))))


def _against(records: Sequence[Record], variant: str, task: str, baselines: Sequence[str]) -> str:
    metric = "auc" if "auc" in records[0]["test"][task] else "rmse"
    best = best_baseline(records, task, metric, baselines)
    own, other = values(records, variant, task, metric), values(records, best, task, metric)
    difference = float(np.mean(own) - np.mean(other))
    if len(own) < 2 or len(own) != len(other):
        return f"{difference:+.4f} ({best})"
    p = float(stats.ttest_rel(own, other).pvalue) if np.std(own - other) else 1.0
    better = (difference < 0) == (metric in _LOWER_IS_BETTER)
    verdict = "tie" if p >= 0.05 else "better" if better else "worse"
    return f"{difference:+.4f}, p {p:.3f} ({best}): {verdict}"


def mean_and_deviation(numbers: np.ndarray) -> str:
    """A cell: mean ± standard deviation; empty of no numbers."""
    if not len(numbers):
        return ""
    deviation = f" ± {np.std(numbers, ddof=1):.4f}" if len(numbers) > 1 else ""  # one run says nothing about it
    return f"{np.mean(numbers):.4f}{deviation}"
