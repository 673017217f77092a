"""One self-contained HTML page about a prepared data folder."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tfmtl.core import drift
from tfmtl.data import PreparedData
from tfmtl.data.feature_counts import length_name
from tfmtl.features import behavior_of
from tfmtl.report import figures
from tfmtl.report.page import write_page
from tfmtl.report.split_sample import SplitSample, sample_split
from tfmtl.schema import SPLITS
from tfmtl.schema.checks import check_positive_int
from tfmtl.training import find_label_leaks

ROWS = 200_000
LEAK = 0.98  # the threshold of training's own warning
_FEWEST_DRIFTING, _MOST_DRIFTING, _NO_DRIFT = 8, 25, 0.02
_MOST_LEAKS = 15
_TOP_VALUES = 8
_REJECTED_EXAMPLES = 3
_RATES = ("missing", "out_of_vocabulary")


def data_report(data: PreparedData, path: str | Path, rows: int = ROWS) -> dict[str, Any]:
    """Writes the page and returns what it shows, as plain values.

    Rows, label rates, days and the rates of single-valued categorical features are those of the manifest, over all
    rows; everything else is counted on a sample.

    Args:
        data: `PreparedData`.
        path: str or Path. The HTML file; pictures and styles are inside, nothing is loaded from the net.
        rows: int. Examples per split to look at. Defaults to `200_000`.
    """
    check_positive_int("data_report", "rows", rows)
    samples = {split: sample_split(data, split, rows) for split in SPLITS}
    facts = _facts(data, samples, rows)
    write_page(path, "data_report.html", facts, data_figures(data, samples, facts))
    return facts


def data_figures(data: PreparedData, samples: Mapping[str, SplitSample], facts: Mapping[str, Any]) -> dict[str, Figure]:
    """The page's pictures; one that would show nothing is left out."""
    pictures = {}
    if any(facts["days"].values()):
        pictures["days"] = figures.days_figure(facts["days"])
    if len(facts["cooccurrence"]["tasks"]) > 1:
        shares = np.array(facts["cooccurrence"]["shares"], np.float64)
        pictures["cooccurrence"] = figures.cooccurrence_figure(facts["cooccurrence"]["tasks"], shares)
    lengths = {name: {split: s.lengths[name] for split, s in samples.items()} for name in samples["train"].lengths}
    if lengths:
        names = {name: drift.length_names(len(counts["train"]) - 1) for name, counts in lengths.items()}
        binned = {name: {s: drift.length_bins(c) for s, c in counts.items()} for name, counts in lengths.items()}
        pictures["lengths"] = figures.lengths_figure(names, binned)
    axes, histograms = _number_panels(data, samples)
    if axes:
        pictures["numbers"] = figures.numbers_figure(axes, histograms)
    if facts["drift"]:
        is_worth = [
            number < _FEWEST_DRIFTING or max(row["psi"].values()) > _NO_DRIFT
            for number, row in enumerate(facts["drift"])
        ]
        largest = [row for row, shown in zip(facts["drift"], is_worth, strict=True) if shown][:_MOST_DRIFTING]
        pictures["drift"] = figures.drift_figure({row["name"]: row["psi"] for row in largest})
    return pictures


# === Facts ===


def _facts(data: PreparedData, samples: Mapping[str, SplitSample], rows: int) -> dict[str, Any]:
    manifest, problem = data.manifest, data.problem
    splits = manifest["splits"]
    return {
        "problem": problem.name,
        "keys": problem.keys,
        "manifest": manifest,
        "rows": rows,
        "sampled": {split: sample.examples for split, sample in samples.items()},
        "days": {split: splits[split].get("days", {}) for split in SPLITS},
        "tasks": [
            {"name": task.name, "kind": task.kind, **{split: splits[split]["tasks"][task.name] for split in SPLITS}}
            for task in problem.tasks
        ],
        "cooccurrence": _cooccurrence(data, samples["train"]),
        "features": _features(data, samples),
        "lengths": _lengths(samples),
        "drift": _drift(data, samples),
        "drift_thresholds": (drift.STABLE, drift.SHIFTED),
        "leaks": _leaks(data, rows),
        "leak_threshold": LEAK,
        "rejected": _rejected(data),
    }


def _cooccurrence(data: PreparedData, sample: SplitSample) -> dict[str, Any]:
    """`shares[i][j]`: P(task j = 1 | task i = 1) over the rows that have both labels, `None` without any."""
    tasks = [task.name for task in data.problem.tasks if task.can_be_parent]
    shares: list[list[float | None]] = []
    for given in tasks:
        positive = sample.labels[given] == 1.0
        row = [sample.labels[task][positive & ~np.isnan(sample.labels[task])] for task in tasks]
        shares.append([float(labels.mean()) if len(labels) else None for labels in row])
    return {"tasks": tasks, "shares": shares}


def _features(data: PreparedData, samples: Mapping[str, SplitSample]) -> list[dict[str, Any]]:
    shown = []
    for feature in data.problem.features:
        behavior = behavior_of(feature, data.problem)
        tensors = feature.tensors(data.problem)
        described = behavior.describe(data.statistics)
        row: dict[str, Any] = {
            "name": feature.name, "kind": feature.kind, "side": tensors[0].side, "size": described["size"], "top": [],
            "missing": None, "out_of_vocabulary": None,
        }  # fmt: skip
        if feature.name in samples["train"].ids:
            row |= _rates(data, feature.name, samples)
            if not tensors[0].is_ordered:
                row |= _top(samples["train"].ids[feature.name], described["values"])
        shown.append(row)
    return shown


def _rates(data: PreparedData, name: str, samples: Mapping[str, SplitSample]) -> dict[str, Any]:
    """Shares of missing and of unknown values: those of the manifest, over all rows, where it has them."""
    if name in data.manifest["splits"]["train"]["features"]:
        counted = {split: data.manifest["splits"][split]["features"][name] for split in SPLITS}
        return {rate: {split: rates[rate] for split, rates in counted.items()} for rate in _RATES}
    if length_name(name) in samples["train"].lengths:
        lengths = {split: sample.lengths[length_name(name)] for split, sample in samples.items()}
        ids = {split: sample.ids[name] for split, sample in samples.items()}
        return {
            "missing": {split: _share(lengths[split][0], sample.examples) for split, sample in samples.items()},
            "out_of_vocabulary": {split: _share(counts[1], int(counts.sum())) for split, counts in ids.items()},
        }
    return {"missing": {split: _share(sample.ids[name][0], sample.examples) for split, sample in samples.items()}}


def _top(counts: np.ndarray, names: Sequence[str] | None) -> dict[str, Any]:
    """The most frequent values and their shares."""
    order = np.argsort(-counts[2:], kind="stable")[:_TOP_VALUES].tolist()
    total = max(int(counts.sum()), 1)
    top = [
        {"value": names[place] if names else f"bucket {place}", "share": counts[place + 2] / total}
        for place in order
        if counts[place + 2]
    ]
    return {"top": top, "others": max(0.0, 1.0 - sum(value["share"] for value in top))}


def _lengths(samples: Mapping[str, SplitSample]) -> list[dict[str, Any]]:
    rows = []
    for name in samples["train"].lengths:
        row: dict[str, Any] = {"name": name, "most": len(samples["train"].lengths[name]) - 1}
        for split, sample in samples.items():
            counts = sample.lengths[name]
            total = int(counts.sum())
            mean = float(np.arange(len(counts)) @ counts / total) if total else None
            row[split] = {"mean": mean, "empty": _share(counts[0], total), "full": _share(counts[-1], total)}
        rows.append(row)
    return rows


def _drift(data: PreparedData, samples: Mapping[str, SplitSample]) -> list[dict[str, Any]]:
    """The largest first; splits without examples are left out."""
    train = samples["train"]
    others = [split for split in ("valid", "test") if samples[split].examples]
    bins: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for name, counts in train.ids.items():
        if name in train.ordered:
            bins[name] = {split: (counts, samples[split].ids[name]) for split in others}
        else:
            bins[name] = {split: drift.top_bins(counts, samples[split].ids[name]) for split in others}
    for name, values in train.numbers.items():
        bins[name] = {split: drift.decile_bins(values, samples[split].numbers[name]) for split in others}
    for name, counts in train.lengths.items():
        pair = {split: (drift.length_bins(counts), drift.length_bins(samples[split].lengths[name])) for split in others}
        bins[name if name.endswith(" (length)") else f"{name} (length)"] = pair
    rows = [
        {
            "name": name,
            "psi": {split: drift.population_stability_index(*pair) for split, pair in pairs.items()},
            "chance": {split: drift.chance_level(*pair) for split, pair in pairs.items()},
        }
        for name, pairs in bins.items()
        if pairs and all(counts.sum() for pair in pairs.values() for counts in pair)
    ]
    return sorted(rows, key=lambda row: -max(row["psi"].values()))


def _leaks(data: PreparedData, rows: int) -> list[dict[str, Any]]:
    return [leak.to_dict() for leak in find_label_leaks(data, rows, threshold=0.5)[:_MOST_LEAKS]]


def _rejected(data: PreparedData) -> list[dict[str, Any]]:
    """Every reason with its rows and the first few of them; reads the files only as far as it must."""
    rejected = data.manifest["rows_rejected"]
    examples: dict[str, list[str]] = {reason: [] for reason in rejected}
    wanted = {reason: min(_REJECTED_EXAMPLES, count) for reason, count in rejected.items()}
    for file in data.rejected_files():
        with file.open(encoding="utf-8") as stream:
            for line in stream:
                record = json.loads(line)
                found = examples.get(record["reason"].split(": ")[0])
                if found is not None and len(found) < _REJECTED_EXAMPLES:
                    values = json.dumps(record["values"], ensure_ascii=False) if record["values"] else ""
                    found.append(f"{record['file']}, row {record['row']}: {record['reason']}  {values}".rstrip())
                if all(len(examples[reason]) >= most for reason, most in wanted.items()):
                    break
    total = data.manifest["rows_in"]
    order = sorted(rejected.items(), key=lambda pair: -pair[1])
    return [{"reason": r, "rows": n, "share": n / total, "examples": examples[r]} for r, n in order]


# === Numbers as they were ===


def _number_panels(
    data: PreparedData, samples: Mapping[str, SplitSample]
) -> tuple[dict[str, Callable[[float], str]], dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]]:
    """How each number's axis reads, and its histograms: over the buckets, or over the scaled values."""
    axes: dict[str, Callable[[float], str]] = {}
    shares = {}
    for name, boundaries in data.statistics.boundaries.items():
        found = {}
        for split, sample in samples.items():
            counts = sample.ids[name][2:]
            if counts.sum():
                found[split] = (np.arange(len(counts) + 1.0), counts / counts.sum())
        axes[name], shares[name] = _boundary_reader(boundaries), found
    for name, mean in data.statistics.means.items():
        if name in axes:
            continue
        deviation = data.statistics.deviations[name] or 1.0
        values = {split: sample.numbers[name] * deviation + mean for split, sample in samples.items()}
        axes[name] = (
            _log_reader if behavior_of(data.problem.feature(name), data.problem).is_logarithmic else _plain_reader
        )
        shares[name] = figures.histogram(values)
    order = [feature.name for feature in data.problem.features if feature.name in axes]
    return {name: axes[name] for name in order}, {name: shares[name] for name in order}


def _boundary_reader(boundaries: tuple[float, ...]) -> Callable[[float], str]:
    """Place k on the axis is the boundary below bucket k."""

    def read(place: float) -> str:
        index = round(place)
        return _plain_reader(boundaries[index - 1]) if 1 <= index <= len(boundaries) else ""

    return read


def _plain_reader(value: float) -> str:
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def _log_reader(value: float) -> str:
    return _plain_reader(float(np.sign(value) * np.expm1(abs(value))))


def _share(count: Any, total: int) -> float:
    return float(count) / total if total else 0.0
