"""The made-up ads over seeds: what each modality, the second term and the weight by click-through rate are worth.

    python -m benchmarks.quality.creatives

A seed draws world, log and first weights. The problem is `pipelines/datasets/ads.yaml`, each variant differs from it in
the one named part, and every number of training is that of `tfmtl run ads`. Appends to docs/results/creatives.jsonl,
where runs of one protocol belong, and prints the table of its runs; one that stands there is not repeated.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import typer

from benchmarks.quality.experiment import results_folder
from benchmarks.quality.jobs import facts, use_one_thread
from benchmarks.quality.tables import mean_and_deviation
from tfmtl.schema import Problem

WEEK = 7.0
PAPER_LONG = (7.0, 27.0, 57.0, 87.0, 117.0)  # 10, 30, ... 120 days less the three that all of them reached
NUMBERS = ("impressions", "clicks", "ctr")
PROTOCOL = """\
{number} creatives a seed, 60 % of them for training, at most {epochs} epochs; a seed draws world, log and first
weights, and none of them is the one that the problem was tuned on. Mean and standard deviation over the seeds of a
row, which may differ from row to row; the last column compares within a seed. "Of the way" is from .5 to the index
of the true expected lifetimes. The first week is judged by the short term where there is one, by the long one
elsewhere; who still ran then is censored."""
SHOWN = {
    "harrell": "Harrell",
    "way": "of the way",
    "ibs": "IBS",
    "week_harrell": "Harrell, first week",
    "week_ibs": "IBS, first week",
}
COMPARED = {"harrell": "Harrell less everything's, by seed", "week_harrell": "the same, first week"}


def without(*names: str) -> Callable[[Problem], Problem]:
    """The problem without some features."""

    def change(problem: Problem) -> Problem:
        return replace(problem, features=tuple(each for each in problem.features if each.name not in names))

    return change


def one_term(**changes: Any) -> Callable[[Problem], Problem]:
    """The problem with the long term alone, changed."""
    return lambda problem: replace(problem, tasks=(replace(problem.task("lifetime"), weight=1.0, **changes),))


def weighted(**changes: Any) -> Callable[[Problem], Problem]:
    """The problem with another weight of its rows."""
    return lambda problem: replace(problem, tasks=tuple(replace(task, **changes) for task in problem.tasks))


VARIANTS: dict[str, Callable[[Problem], Problem]] = {
    "everything": lambda problem: problem,
    "without title": without("title"),
    "without banner": without("banner"),
    "without genre": without("genre"),
    "without first days": without(*NUMBERS),
    "one term": one_term(),
    "one term of long intervals": one_term(intervals=PAPER_LONG),
    "no weight of rows": weighted(weight_column=None, weight_offset=0.0),
    "weight by impressions": weighted(weight_column="share_of_impressions", weight_offset=0.0),
}


def main(
    number: int = 12000,
    seeds: str = "1,2,3,4,5",
    epochs: int = 10,
    variants: str = "",
    quick: bool = False,
) -> None:
    """Trains every variant on the log of every seed, and prints a table."""
    use_one_thread()
    from tfmtl.pipelines.datasets.creatives import ADS, best_c, creatives_log

    done = results_folder(quick) / "creatives.jsonl"
    done.parent.mkdir(parents=True, exist_ok=True)
    records = [json.loads(line) for line in done.read_text().splitlines()] if done.is_file() else []
    protocol = {"number": number, "epochs": epochs, "options": dict(ADS.training)}
    names = variants.split(",") if variants else list(VARIANTS)
    for seed in map(int, seeds.split(",")):
        runs = {name: run_of(name, seed, protocol, VARIANTS[name](ADS.problem)) for name in names}
        missing = {name: run for name, run in runs.items() if not is_done(run, records)}
        if not missing:
            continue
        log = creatives_log(seed, number)
        shown = np.stack(log["impressions"].to_numpy()).sum(axis=1)
        log = log.append_column("share_of_impressions", pa.array(shown / shown.mean()))
        best = best_c(log)
        for name, run in missing.items():
            record = run | {"best": best} | measure(log, VARIANTS[name](ADS.problem), seed, epochs) | facts()
            record["way"] = (record["harrell"] - 0.5) / (best - 0.5)
            records.append(record)
            with done.open("a") as lines:
                lines.write(json.dumps(record) + "\n")
            print(json.dumps(record), flush=True)
    print(f"{PROTOCOL.format(number=number, epochs=epochs)}\n\n{table(records)}")


def run_of(name: str, seed: int, protocol: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """What makes a run this one and no other; a change of the problem or of training makes another."""
    return {"variant": name, "seed": seed, **protocol, "problem": problem.fingerprint}


def is_done(run: dict[str, Any], records: list[dict[str, Any]]) -> bool:
    """Whether a run stands among the records."""
    return any(run.items() <= record.items() for record in records)


def measure(log: pa.Table, problem: Problem, seed: int, epochs: int) -> dict[str, Any]:
    """Metrics on the test split, of the lifetime over all days and over the first week, and the processor seconds."""
    import tfmtl
    from tfmtl.metrics.survival import harrell_index, integrated_brier_score
    from tfmtl.pipelines.datasets.creatives import ADS
    from tfmtl.survival import SurvivalCurves, censoring_curve
    from tfmtl.training import TrainOptions, fit, predict

    started = time.process_time()
    with TemporaryDirectory() as folder:
        data = tfmtl.prepare(log, problem, Path(folder, "data"), seed=seed)
        options = TrainOptions(preset="creative", epochs=epochs, seed=seed, **ADS.training)
        model = fit(data, Path(folder, "run"), options, verbose=0)
        train, test = (predict(model, data, split) for split in ("train", "test"))
        states = {task.name: data.inputs.task_state[task.name] for task in data.problem.tasks}
    times, events = (test["labels"][key].astype(np.float64) for key in ("lifetime", "lifetime__event"))
    censoring = censoring_curve(train["labels"]["lifetime"], train["labels"]["lifetime__event"])
    curves = {
        name: SurvivalCurves(np.array(state["edges"]), test["predictions"][f"{name}__survival"].astype(np.float64))
        for name, state in states.items()
    }
    whole = curves["lifetime"]
    first = curves.get("lifetime_short", whole)
    grid = np.linspace(0.0, np.quantile(times, 0.9), 101)[1:]
    week = np.linspace(0.0, WEEK, 101)[1:]
    in_week = SurvivalCurves(week, first.at(week))
    return {
        "harrell": harrell_index(times, events, -whole.expected_lifetime()),
        "ibs": integrated_brier_score(times, events, whole, grid, censoring),
        "week_harrell": harrell_index(*until_week(times, events), -in_week.expected_lifetime()),
        "week_ibs": integrated_brier_score(times, events, first, week, censoring),
        "processor_seconds": round(time.process_time() - started, 1),
    }


def until_week(times: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels as they stood after a week: who still ran then is censored."""
    return np.minimum(times, WEEK), np.where(times > WEEK, 0.0, events)


def table(records: list[dict[str, Any]]) -> str:
    """A row a variant: mean and standard deviation over the seeds, and how far each seed is from everything."""
    lines = ["| variant | seeds | " + " | ".join([*SHOWN.values(), *COMPARED.values()]) + " |"]
    lines.append("|---" * (len(SHOWN) + len(COMPARED) + 2) + "|")
    whole = {record["seed"]: record for record in records if record["variant"] == "everything"}
    for name in VARIANTS:
        own = sorted((record for record in records if record["variant"] == name), key=lambda record: record["seed"])
        if not own:
            continue
        cells = [mean_and_deviation(np.array([record[key] for record in own])) for key in SHOWN]
        for key in COMPARED:
            gaps = [f"{record[key] - whole[record['seed']][key]:+.3f}" for record in own if record["seed"] in whole]
            cells.append(", ".join(gaps) if name != "everything" else "")
        lines.append(f"| {name} | {', '.join(str(record['seed']) for record in own)} | {' | '.join(cells)} |")
    best = mean_and_deviation(np.array([record["best"] for record in whole.values()]))
    known = ["true expected lifetimes", ", ".join(map(str, sorted(whole))), best, "1", *[""] * (len(SHOWN) - 2)]
    return "\n".join([*lines, f"| {' | '.join([*known, *[''] * len(COMPARED)])} |"])


if __name__ == "__main__":
    typer.run(main)
