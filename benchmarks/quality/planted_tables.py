"""Tables and figure of the planted benchmarks: how far from the best possible AUC every model stays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from scipy import stats

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Record = dict[str, Any]


def gaps(records: Sequence[Record], variant: str, conflict: float) -> dict[int, float]:
    """Seed -> mean over the tasks of best possible minus reached test AUC."""
    own = [r for r in records if r["variant"] == variant and r["conflict"] == conflict]
    own.sort(key=lambda record: record["seed"])
    return {
        r["seed"]: float(np.mean([r["best_auc"][task] - r["test"][task]["auc"] for task in r["test"]])) for r in own
    }


def reached(records: Sequence[Record], conflict: float, column: str = "best_auc") -> float:
    """Mean over worlds and tasks of a known AUC: the best possible one, or another line."""
    worlds = {record["seed"]: record[column] for record in records if record["conflict"] == conflict}
    return float(np.mean([list(aucs.values()) for aucs in worlds.values()]))


def gap_tables(records: Sequence[Record], reference: str, lines: Mapping[str, str]) -> str:
    """AUC of every model by conflict, and which share of the reference's gap to the best a model closes.

    Args:
        records: runs with `conflict`, `best_auc` and the columns of `lines`.
        reference: variant that the second table measures the others by.
        lines: heading -> column of the known AUCs, the best possible one first.
    """
    conflicts = sorted({record["conflict"] for record in records}, reverse=True)
    names = list(dict.fromkeys(record["variant"] for record in records))
    head = ["conflict", "worlds", *lines, *names]
    text = ["Test AUC, mean over tasks and worlds, ± standard deviation over worlds of the distance to the best."]
    text += ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for conflict in conflicts:
        best = reached(records, conflict)
        known = [f"{reached(records, conflict, column):.4f}" for column in lines.values()]
        count = len({record["seed"] for record in records if record["conflict"] == conflict})
        cells = [_distance(best, list(gaps(records, name, conflict).values())) for name in names]
        text.append("| " + " | ".join([f"{conflict:g}", str(count), *known, *cells]) + " |")
    if reference not in names:
        return "\n".join(text)
    others = [name for name in names if name != reference]
    text += [
        "",
        f"Share of {reference}'s gap to the best possible that a model closes (negative: it widens it), over the",
    ]
    text += ["worlds that both were run on, with the p-value of a paired test over these.", ""]
    text += [f"| conflict | gap of {reference} | " + " | ".join(others) + " |", "|---" * (len(others) + 2) + "|"]
    for conflict in conflicts:
        base = gaps(records, reference, conflict)
        cells = [_closed(base, gaps(records, name, conflict)) for name in others]
        text.append(f"| {conflict:g} | {np.mean(list(base.values())):.4f} | " + " | ".join(cells) + " |")
    return "\n".join(text)


def _distance(best: float, distances: Sequence[float]) -> str:
    if not distances:
        return ""
    deviation = f" ± {np.std(distances, ddof=1):.4f}" if len(distances) > 1 else ""
    return f"{best - np.mean(distances):.4f}{deviation}"


def _closed(reference: dict[int, float], own: dict[int, float]) -> str:
    seeds = [seed for seed in own if seed in reference]
    if not seeds:
        return ""
    theirs, mine = [reference[seed] for seed in seeds], [own[seed] for seed in seeds]
    share = f"{1.0 - float(np.mean(mine) / np.mean(theirs)):+.0%}"
    return share if len(seeds) < 2 else f"{share} (p {float(stats.ttest_rel(theirs, mine).pvalue):.2f})"


def figure(records: Sequence[Record], path: Path, lines: Mapping[str, str]) -> None:
    """AUC against conflict, a line per model; the known AUCs in black."""
    conflicts = sorted({record["conflict"] for record in records})
    picture, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for (label, column), style in zip(lines.items(), ("-", "--", ":"), strict=False):
        known = [reached(records, conflict, column) for conflict in conflicts]
        axes.plot(conflicts, known, style, color="black", linewidth=2, label=label)
    for name, marker in zip(dict.fromkeys(record["variant"] for record in records), "osD^vPX*<>", strict=False):
        found = {conflict: list(gaps(records, name, conflict).values()) for conflict in conflicts}
        shown = [conflict for conflict in conflicts if found[conflict]]
        means = [reached(records, conflict) - np.mean(found[conflict]) for conflict in shown]
        errors = [np.std(found[conflict], ddof=min(1, len(found[conflict]) - 1)) for conflict in shown]
        axes.errorbar(shown, means, errors, marker=marker, markersize=5, capsize=2, linewidth=1, label=name)
    margin = 0.05 * (conflicts[-1] - conflicts[0] or 1.0)
    axes.set(xlabel="correlation of the tasks' weights", ylabel="test AUC, mean of the tasks")
    axes.set_xlim(conflicts[-1] + margin, conflicts[0] - margin)
    axes.set_title("Task conflict grows to the right")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path)
    plt.close(picture)
