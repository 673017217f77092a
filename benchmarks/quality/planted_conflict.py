"""Where does a task-specific bottom pay? AUC against task conflict on logs whose best possible AUC is known.

    python -m benchmarks.quality.planted_conflict

For every conflict (correlation of the tasks' weights) and seed a world is drawn, preprocessed and learnt by every
model; the seed is that of the world and of the training. Writes a table, a figure and all numbers to docs/results.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import matplotlib
import numpy as np
import pyarrow.parquet as parquet
import typer
from scipy import stats

from benchmarks.quality.experiment import WORK, results_folder, write_text
from benchmarks.quality.jobs import Job, Variant, run_jobs

matplotlib.use("Agg")
import matplotlib.pyplot as plt

VARIANTS = (
    Variant("single task", "single_task"),
    Variant("shared bottom", "shared_bottom"),
    Variant("MMoE", "mmoe"),
    Variant("PLE", "ple"),
    Variant("AITM", "aitm"),
    Variant("DTRN", "dtrn"),
    Variant("DEPHN", "dephn"),
    Variant("APEM", "apem"),
    Variant("MMoE on DIN", "mmoe", {"pooling": "target"}),
    Variant("DTRN on DIN", "dtrn", {"pooling": "target"}),
)
REFERENCE = "MMoE"


def main(
    seeds: str = "0,1,2",
    conflicts: str = "1,0.5,0,-0.5,-1",
    divergence: float = 0.5,
    num_users: int = 1000,
    epochs: int = 12,
    learning_rate: float = 2e-3,
    processes: int = 2,
    models: Annotated[str, typer.Option(help="Rows of the table, separated by commas; all if left out.")] = "",
    quick: Annotated[bool, typer.Option(help="Two conflicts, one seed, few users.")] = False,
) -> None:
    """Trains every model in every world and writes the results of all runs so far."""
    if quick:
        seeds, conflicts, num_users, epochs = "0", "1,-1", 200, 2
    chosen, drawn = [float(value) for value in conflicts.split(",")], [int(seed) for seed in seeds.split(",")]
    chosen_variants = [variant for variant in VARIANTS if not models or variant.name in models.split(",")]
    best: dict[str, dict[str, float]] = {}
    jobs: list[Job] = []
    for conflict in chosen:
        for seed in drawn:
            folder, aucs = _world(seed, conflict, divergence, num_users)
            best[folder.name] = aucs
            jobs += [Job(str(folder), variant, seed, learning_rate, epochs) for variant in chosen_variants]
    output = results_folder(quick)
    done = output / "planted_conflict.jsonl"
    run_jobs(jobs, done, processes)
    records = [record for record in map(json.loads, done.read_text().splitlines()) if record["data"] in best]
    for record in records:
        record["conflict"] = float(record["data"].split("_")[2])
        record["best_auc"] = best[record["data"]]
    _figure(records, output / "planted_conflict.svg")
    write_text(output / "planted_conflict.md", records, _text(records))


def _world(seed: int, conflict: float, divergence: float, num_users: int) -> tuple[Path, dict[str, float]]:
    """The preprocessed log of a world, made unless it is there, and its best possible test AUCs."""
    from pipelines.datasets.planted import best_auc, planted_log, planted_problem
    from pipelines.preprocess.job import preprocess

    folder = WORK / f"planted_{seed}_{conflict:g}_{divergence:g}_{num_users}"
    log = planted_log(seed, conflict, divergence, num_users=num_users)
    if not (folder / "manifest.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        source = folder.with_suffix(".parquet")
        parquet.write_table(log, source)
        preprocess(planted_problem(), [str(source)], str(folder))
        source.unlink()
    return folder, best_auc(log)


def _gaps(records: Sequence[dict[str, Any]], variant: str, conflict: float) -> np.ndarray:
    """Mean over the tasks of best possible minus reached AUC, a value a seed."""
    own = [r for r in records if r["variant"] == variant and r["conflict"] == conflict]
    own.sort(key=lambda record: record["seed"])
    return np.array([np.mean([r["best_auc"][task] - r["test"][task]["auc"] for task in r["test"]]) for r in own])


def _best(records: Sequence[dict[str, Any]], conflict: float) -> float:
    return float(np.mean([list(r["best_auc"].values()) for r in records if r["conflict"] == conflict]))


def _text(records: Sequence[dict[str, Any]]) -> str:
    conflicts = sorted({record["conflict"] for record in records}, reverse=True)
    names = list(dict.fromkeys(record["variant"] for record in records))
    head = ["conflict", "best possible", *names]
    lines = ["# Planted conflict", "", "![AUC against conflict](planted_conflict.svg)", ""]
    lines += [
        "Test AUC, mean over the tasks like and buy, ± standard deviation over worlds of the distance to the best."
    ]
    lines += ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for conflict in conflicts:
        best = _best(records, conflict)
        gaps = [_gaps(records, name, conflict) for name in names]
        cells = [
            f"{best - np.mean(gap):.4f} ± {np.std(gap, ddof=min(1, len(gap) - 1)):.4f}" if len(gap) else ""
            for gap in gaps
        ]
        lines.append(f"| {conflict:g} | {best:.4f} | " + " | ".join(cells) + " |")
    if REFERENCE not in names:
        return "\n".join(lines)
    lines += ["", f"Share of {REFERENCE}'s gap to the best possible that a model closes (negative: it widens it), with"]
    lines += ["the p-value of a paired test over worlds.", ""]
    lines += ["| conflict | gap of " + REFERENCE + " | " + " | ".join(n for n in names if n != REFERENCE) + " |"]
    lines += ["|---" * (len(names) + 1) + "|"]
    for conflict in conflicts:
        reference = _gaps(records, REFERENCE, conflict)
        cells = [_closed(reference, _gaps(records, name, conflict)) for name in names if name != REFERENCE]
        lines.append(f"| {conflict:g} | {np.mean(reference):.4f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _closed(reference: np.ndarray, own: np.ndarray) -> str:
    if not len(own) or not len(reference):
        return ""
    share = 1.0 - float(np.mean(own) / np.mean(reference))
    if len(own) < 2 or len(own) != len(reference):
        return f"{share:+.0%}"
    return f"{share:+.0%} (p {float(stats.ttest_rel(reference, own).pvalue):.2f})"


def _figure(records: Sequence[dict[str, Any]], path: Path) -> None:
    conflicts = sorted({record["conflict"] for record in records})
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    best = [_best(records, conflict) for conflict in conflicts]
    axes.plot(conflicts, best, color="black", linewidth=2, label="best possible")
    for name, marker in zip(dict.fromkeys(record["variant"] for record in records), "osD^vPX*<>", strict=False):
        gaps = {conflict: _gaps(records, name, conflict) for conflict in conflicts}
        known = [conflict for conflict in conflicts if len(gaps[conflict])]
        means = [top - np.mean(gaps[c]) for c, top in zip(conflicts, best, strict=True) if c in known]
        errors = [np.std(gaps[c], ddof=min(1, len(gaps[c]) - 1)) for c in known]
        axes.errorbar(known, means, errors, marker=marker, markersize=5, capsize=2, linewidth=1, label=name)
    axes.set(xlabel="correlation of the tasks' weights", ylabel="test AUC, mean of both tasks", xlim=(1.1, -1.1))
    axes.set_title("Task conflict grows to the right")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    typer.run(main)
