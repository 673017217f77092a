"""Does a task-specific bottom pay where tasks weigh the same events differently, and the pooled vector is short?

    python -m benchmarks.quality.planted_weightings

The same bottom with these encoders, all of one width and pooling: one Transformer for all tasks (`shared`), one that a
hypernetwork changes for each task and behavior (`hyper`, two kinds; and one that does not know the task), and one for
each task and behavior (`independent`). Each world is drawn by a seed, which is that of the training, too. Writes a
table with what an oracle reaches to docs/results.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any

import pyarrow.parquet as parquet
import typer

from benchmarks.quality.experiment import WORK, results_folder, write_text
from benchmarks.quality.jobs import Job, Variant, run_jobs
from benchmarks.quality.weighting_world import TASKS, ceilings, draw_weighting_world, weighting_log, weighting_problem
from tfmtl.folders import PreparedFolder

WIDTH = 8
_NETWORK = {"hidden_units": (64, 32), "num_experts": 4, "tower_units": (32,)}
# No run is stopped early: what the linear part tells is learned first, and the form's part may come late.
_TRAINING = {"monitor": "val_mean_relative_loss", "patience": 1_000}
VARIANTS = tuple(
    Variant(name, "dtrn", {**_NETWORK, **options}, _TRAINING)
    for name, options in (
        ("shared", {"encoder": "shared"}),
        # As many weights as the next but one, all of them shared: what that gains is not the task's.
        ("hyper, adapters without the task", {"conditioning": "adapter", "task_dim": 0}),
        ("hyper, norms", {}),
        ("hyper, adapters", {"conditioning": "adapter"}),
        ("independent", {"encoder": "independent"}),
    )
)


def main(
    seeds: str = "0,1,2",
    alike: Annotated[str, typer.Option(help="How much the tasks have in common.")] = "1,0.5,0",
    rows: int = 40_000,
    epochs: int = 12,
    learning_rate: float = 4e-3,
    processes: int = 2,
    models: Annotated[str, typer.Option(help="Rows of the table, by semicolons; all if left out.")] = "",
    quick: Annotated[bool, typer.Option(help="One seed, few rows.")] = False,
) -> None:
    """Trains the encoders in every world and writes the results of all runs so far."""
    if quick:
        seeds, rows, epochs = "0", 4_000, 2
    known: dict[str, dict[str, float]] = {}
    jobs: list[Job] = []
    for dial in map(float, alike.split(",")):
        for seed in map(int, seeds.split(",")):
            folder, known_here = _world(seed, dial, rows)
            known[folder.name] = known_here
            chosen = [each for each in VARIANTS if not models or each.name in models.split(";")]
            jobs += [Job(str(folder), each, seed, learning_rate, epochs, schedule="cosine") for each in chosen]
    done = results_folder(quick) / "planted_weightings.jsonl"
    run_jobs(jobs, done, processes)
    records = [
        record
        for record in map(json.loads, done.read_text().splitlines())
        if record["data"] in known and json.loads(record["key"])["epochs"] == epochs
    ]
    head = "# Planted: tasks that weigh the same events differently\n\n"
    write_text(done.with_suffix(".md"), records, head + table(records, known))


def _world(seed: int, alike: float, rows: int) -> tuple[Path, dict[str, float]]:
    """The preprocessed log of a world, made unless it is there, and what an oracle reaches."""
    from tfmtl.pipelines.preprocess.job import preprocess

    folder, facts = (WORK / f"weightings_{seed}_{alike:g}_{rows}{end}" for end in ("", ".json"))
    if not PreparedFolder(folder).is_complete or not facts.is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        world = draw_weighting_world(seed, alike)
        log, items = weighting_log(world, seed, rows)
        source = folder.with_suffix(".parquet")
        parquet.write_table(log, source)
        preprocess(weighting_problem(WIDTH), [str(source)], str(folder))
        source.unlink()
        facts.write_text(json.dumps(ceilings(world, log, items, WIDTH)))
    return folder, json.loads(facts.read_text())


def table(records: Sequence[dict[str, Any]], known: dict[str, dict[str, float]]) -> str:
    """A row per dial and model: test AUC, mean over tasks and worlds, and the oracle's lines above.

    Args:
        records: runs.
        known: data -> what an oracle reaches there.
    """
    names = list(dict.fromkeys(record["variant"] for record in records))
    lines = [
        "Test AUC, mean over four tasks and the worlds (± deviation over worlds). An oracle knows the hidden vectors",
        f"and weights; `shared vectors`: {WIDTH} numbers per behavior that all tasks share.",
        "",
        "| alike | model | worlds | AUC | parameters |",
        "|---|---|---:|---:|---:|",
    ]
    for alike in dict.fromkeys(_alike(name) for name in known):
        worlds = [facts for name, facts in known.items() if _alike(name) == alike]
        for line in ("best", "own vectors", "shared vectors"):
            found = [facts[line] for facts in worlds]
            lines.append(f"| {alike} | oracle: {line} | {len(found)} | {_shown(found)} | |")
        for name in names:
            own = [each for each in records if each["variant"] == name and _alike(each["data"]) == alike]
            if own:
                found = [fmean(each["test"][task]["auc"] for task in TASKS) for each in own]
                lines.append(f"| {alike} | {name} | {len(found)} | {_shown(found)} | {own[0]['parameters']:,} |")
    return "\n".join(lines)


def _alike(name: str) -> str:
    return name.split("_")[2]


def _shown(values: Sequence[float]) -> str:
    return f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


if __name__ == "__main__":
    typer.run(main)
