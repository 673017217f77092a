"""Where does a task-specific bottom pay? AUC against task conflict on logs whose best possible AUC is known.

    python -m benchmarks.quality.planted_conflict

For every conflict (correlation of the tasks' weights) and seed a world is drawn, preprocessed and learned by every
model; the seed is that of the world and of the training. Writes a table, a figure and all numbers to docs/results.
"""

import json
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as parquet
import typer

from benchmarks.quality.experiment import WORK, results_folder, write_text
from benchmarks.quality.jobs import Job, Variant, run_jobs
from benchmarks.quality.planted_tables import figure, gap_tables
from tfmtl.folders import PreparedFolder

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
_LINES = {"best possible": "best_auc"}


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
    figure(records, output / "planted_conflict.svg", _LINES)
    head = "# Planted conflict\n\n![AUC against conflict](planted_conflict.svg)\n\n"
    write_text(output / "planted_conflict.md", records, head + gap_tables(records, REFERENCE, _LINES))


def _world(seed: int, conflict: float, divergence: float, num_users: int) -> tuple[Path, dict[str, float]]:
    """The preprocessed log of a world, made unless it is there, and its best possible test AUCs."""
    from tfmtl.pipelines.datasets.planted import best_auc, planted_log, planted_problem
    from tfmtl.pipelines.preprocess.job import preprocess

    folder = WORK / f"planted_{seed}_{conflict:g}_{divergence:g}_{num_users}"
    log = planted_log(seed, conflict, divergence, num_users=num_users)
    if not PreparedFolder(folder).is_complete:
        folder.parent.mkdir(parents=True, exist_ok=True)
        source = folder.with_suffix(".parquet")
        parquet.write_table(log, source)
        preprocess(planted_problem(), [str(source)], str(folder))
        source.unlink()
    return folder, best_auc(log)


if __name__ == "__main__":
    typer.run(main)
