"""Four sets of lifetimes with texts, series or pictures: preset `creative`, with and without the texts.

    python -m benchmarks.quality.creative_sets <folder with chart_runs, listing_lifetimes, ...>

Rows and features are those of `tfmtl datasets`; the splits are drawn here: for split s the rows in the order of
`numpy.random.RandomState(s).permutation`, the first fifth for testing, a fifth of the rest for validation. Appends to
docs/results/creative_sets.jsonl; a run that stands there is not repeated.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer

from benchmarks.quality.experiment import results_folder
from benchmarks.quality.jobs import facts, use_one_thread
from benchmarks.quality.survival import judged_and_fitted
from benchmarks.quality.survival_indices import indices
from tfmtl.pipelines.datasets import DATASETS
from tfmtl.schema import Problem, Split

SETS = {"charts": "chart_runs", "listings": "listing_lifetimes", "icons": "icon_lifetimes", "ads": "ira_ads"}
OPTIONS: dict[str, Any] = {
    "preset": "creative",
    "epochs": 10,
    "monitor": "val_mean_relative_loss",
    "id_dropout": 0.0,
}


def main(
    data: Annotated[Path, typer.Argument(help="Folder with the folders of the sets.")],
    sets: Annotated[str, typer.Option(help="Names, separated by commas.")] = ",".join(SETS),
    splits: str = "0,1,2",
    options: Annotated[str, typer.Option(help="Of training, as JSON, instead of those of `tfmtl run`.")] = "{}",
    part: Annotated[str, typer.Option(help="valid or test: which rows are judged.")] = "valid",
    quick: bool = False,
) -> None:
    """Trains with and without texts on every split."""
    use_one_thread()
    done = results_folder(quick) / "creative_sets.jsonl"
    done.parent.mkdir(parents=True, exist_ok=True)
    records = [json.loads(line) for line in done.read_text().splitlines()] if done.is_file() else []
    for name in sets.split(","):
        log, problem = read(data, name)
        given = OPTIONS | dict(DATASETS[SETS[name]].training) | json.loads(options)
        for split in map(int, splits.split(",")):
            for texts in (True, False):
                run = {"set": name, "texts": texts, "split": split, "part": part, "options": given}
                if any(run.items() <= record.items() for record in records):
                    continue
                record = run | measure(log, problem if texts else without_texts(problem), split, given, part) | facts()
                with done.open("a") as lines:
                    lines.write(json.dumps(record) + "\n")
                print(json.dumps(record), flush=True)


def read(data: Path, name: str) -> tuple[pa.Table, Problem]:
    """Rows and problem of a set; the problem takes its split from a column."""
    dataset = DATASETS[SETS[name]]
    problem = replace(dataset.problem, split=Split(by="column", column="split"))
    return dataset.to_rows(dataset.find(data / SETS[name])), problem


def without_texts(problem: Problem) -> Problem:
    """The problem without its features of the kind `text`."""
    return replace(problem, features=tuple(each for each in problem.features if each.kind != "text"))


def splits_of(size: int, seed: int) -> np.ndarray:
    """Where each row belongs, as text `(size,)`."""
    parts = np.full(size, "train", dtype=object)
    for part in ("test", "valid"):
        parts[judged_and_fitted(size, seed, part)[0]] = part
    return parts


def measure(log: pa.Table, problem: Problem, seed: int, options: dict[str, Any], part: str) -> dict[str, Any]:
    """Three metrics on a part of the rows, and the processor seconds of preparing and training."""
    import tfmtl
    from tfmtl.survival import SurvivalCurves
    from tfmtl.training import TrainOptions, fit, predict

    started = time.process_time()
    task = problem.tasks[0]
    parts = splits_of(log.num_rows, seed)
    with TemporaryDirectory() as folder:
        rows = log.append_column("split", pa.array(parts))
        prepared = tfmtl.prepare(rows, problem, Path(folder, "data"), seed=seed)
        model = fit(prepared, Path(folder, "run"), TrainOptions(seed=seed, **options), verbose=0)
        judged = predict(model, prepared, part)
        edges = np.array(prepared.inputs.task_state[task.name]["edges"])
    seconds = time.process_time() - started
    times, events = (log[name].to_numpy().astype(np.float64) for name in (task.time, task.event))
    known = parts != part if part == "test" else parts == "train"
    labels = (judged["labels"][key].astype(np.float64) for key in (task.name, f"{task.name}__event"))
    curves = SurvivalCurves(edges, judged["predictions"][f"{task.name}__survival"].astype(np.float64))
    found = indices(tuple(labels), curves, (times[known], events[known]), float(np.quantile(times, 0.9)))
    return {**found, "processor_seconds": round(seconds, 1)}


if __name__ == "__main__":
    typer.run(main)
