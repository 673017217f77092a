"""Does a task-specific bottom pay where a shared representation has too little room?

    python -m benchmarks.quality.planted_room

Four tasks read five behaviors in twenty ways (`planted_log(rule="readings")`), or, at conflict 1, in the same five.
The embeddings are 8 wide: the mean of 8 numbers per event cannot hold twenty readings; what it can hold at best, read
linearly, is one of the known lines. A logistic regression on event counts has the room, and so have the rows "width
32". All networks have narrow experts, because what is looked for lies below them. Writes a table, a figure and all
runs to docs/results.
"""

import json
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as parquet
import typer

from benchmarks.quality.experiment import WORK, results_folder, write_text
from benchmarks.quality.jobs import Job, Variant, run_jobs
from benchmarks.quality.planted_counts import counted_auc
from benchmarks.quality.planted_tables import figure, gap_tables
from tfmtl.folders import PreparedFolder

NUM_TASKS, WIDTH, WIDE = 4, 8, 32
_NETWORK = {"hidden_units": (64, 32), "num_experts": 4, "tower_units": (32,)}
VARIANTS = (
    Variant("single task", "single_task", {"hidden_units": (64, 32), "tower_units": (32,)}),
    Variant("MMoE", "mmoe", _NETWORK),
    Variant("DTRN", "dtrn", _NETWORK),
    Variant("DTRN without TIM", "dtrn", {**_NETWORK, "encoder": "shared"}),
    Variant("DTRN, a Transformer a pair", "dtrn", {**_NETWORK, "encoder": "independent"}),
    Variant(f"MMoE, width {WIDE}", "mmoe", _NETWORK),
)
REFERENCE = "MMoE"
_LINES = {
    "best possible": "best_auc",
    "logistic regression on event counts": "counted_auc",
    f"best mean of {WIDTH} numbers": "narrow_auc",
}


def main(
    seeds: str = "10,11,12",
    conflicts: str = "1,0",
    num_users: int = 1000,
    epochs: int = 12,
    learning_rate: float = 4e-3,
    processes: int = 2,
    models: Annotated[str, typer.Option(help="Rows of the table, by semicolons; all if left out.")] = "",
    quick: Annotated[bool, typer.Option(help="One seed, few users.")] = False,
) -> None:
    """Trains every model in every world and writes the results of all runs so far."""
    if quick:
        seeds, num_users, epochs = "10", 200, 2
    known: dict[str, dict[str, dict[str, float]]] = {}
    jobs: list[Job] = []
    for seed in map(int, seeds.split(",")):
        for conflict in map(float, conflicts.split(",")):
            for variant in VARIANTS:
                if models and variant.name not in models.split(";"):
                    continue
                width = WIDE if variant.name.endswith(f"width {WIDE}") else WIDTH
                folder, known[folder.name] = _world(seed, conflict, width, num_users)
                jobs.append(Job(str(folder), variant, seed, learning_rate, epochs))
    output = results_folder(quick)
    done = output / "planted_room.jsonl"
    run_jobs(jobs, done, processes)
    records = [record for record in map(json.loads, done.read_text().splitlines()) if record["data"] in known]
    for record in records:
        record |= {"conflict": float(record["data"].split("_")[2]), **known[record["data"]]}
    figure(records, output / "planted_room.svg", _LINES)
    head = "# Planted: too little room\n\n![AUC against conflict](planted_room.svg)\n\n"
    write_text(output / "planted_room.md", records, head + gap_tables(records, REFERENCE, _LINES))


def _world(seed: int, conflict: float, width: int, num_users: int) -> tuple[Path, dict[str, dict[str, float]]]:
    """The preprocessed log of a world, made unless it is there, and its known test AUCs."""
    from tfmtl.pipelines.datasets.planted import best_auc, planted_log, planted_problem
    from tfmtl.pipelines.preprocess.job import preprocess

    name = f"readings_{seed}_{conflict:g}"
    folder, facts = WORK / f"{name}_{width}_{num_users}", WORK / f"{name}_{num_users}.json"
    if not PreparedFolder(folder).is_complete or not facts.is_file():
        dials = {"num_items": 50, "num_tasks": NUM_TASKS, "rule": "readings", "narrow": WIDTH}
        log = planted_log(seed, conflict, 1.0, num_users, **dials)
    if not PreparedFolder(folder).is_complete:
        folder.parent.mkdir(parents=True, exist_ok=True)
        source = folder.with_suffix(".parquet")
        parquet.write_table(log, source)
        preprocess(planted_problem(NUM_TASKS, max_length=10, dim=width), [str(source)], str(folder))
        source.unlink()
    if not facts.is_file():
        known = {
            "best_auc": best_auc(log),
            "counted_auc": counted_auc(log),
            "narrow_auc": best_auc(log, column="narrow"),
        }
        facts.write_text(json.dumps(known))
    return folder, json.loads(facts.read_text())


if __name__ == "__main__":
    typer.run(main)
