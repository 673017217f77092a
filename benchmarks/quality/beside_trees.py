"""A network beside boosted trees on the same rows: means over the seeds, and intervals over users.

    python -m benchmarks.quality.beside_trees <data folder> --set pooling=target --seeds 0,1,2

The network is `mmoe` as `tfmtl train` would train it, trees and linear models those of `tfmtl.baselines`. An interval
is of the mean over the seeds less the trees' value, 95 %, from drawing whole groups of test rows anew: seeds alone do
not say what another week's users would change. Predictions are kept in benchmarks/.work, so that a seed more trains
that seed only. They are of the code that made them: remove the folder after a change.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.quality.experiment import WORK
from benchmarks.quality.jobs import facts, use_one_thread
from benchmarks.quality.tables import mean_and_deviation
from tfmtl.metrics import log_loss, rmse, roc_auc
from tfmtl.metrics.bootstrap import group_numbers, percentile_interval, resampled_rows
from tfmtl.pipelines.cli.option_values import option_values

Metric = Callable[[Any, Any], Any]
RESAMPLES = 500


def main(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    preset: str = "mmoe",
    seeds: str = "0,1,2",
    split: str = "test",
    settings: Annotated[list[str] | None, typer.Option("--set", help="Preset option, name=value.")] = None,
) -> None:
    """Trains what is missing and prints the table."""
    use_one_thread()
    from tfmtl.data import PreparedData
    from tfmtl.training import TrainOptions

    prepared = PreparedData(data)
    work = WORK / "beside_trees" / prepared.digest[:16]
    work.mkdir(parents=True, exist_ok=True)
    others = _trees(prepared, split, work / f"trees_{split}.npz")
    options = option_values("beside_trees", settings or [])
    name = preset + "".join(f"_{key}_{value}" for key, value in options.items())
    runs = []
    for seed in map(int, seeds.split(",")):
        path = work / f"{name}_{seed}_{split}.npz"
        if not path.is_file():
            _train(prepared, TrainOptions(preset=preset, preset_options=options, seed=seed), split, path)
        runs.append(dict(np.load(path)))
    made = facts()
    print(f"{prepared.problem.name}, {split} split, {len(runs)} seeds; commit {made['commit']}, {made['hardware']}\n")
    print(table(prepared, name, runs, others))


def _train(data: Any, options: Any, split: str, path: Path) -> None:
    """Trains with one seed and keeps what it predicts."""
    import keras

    from tfmtl.training import fit, predict

    with TemporaryDirectory() as folder:
        model = fit(data, folder, options, verbose=0)
    found = predict(model, data, split)
    groups = group_numbers(found["groups"]) if data.problem.group_column is not None else None
    kept = {task.name: found["predictions"][task.key("")] for task in data.problem.tasks}
    labels = {f"label {task.name}": found["labels"][task.key("")] for task in data.problem.tasks}
    np.savez(path, **kept, **labels, **({} if groups is None else {"groups": groups}))
    keras.backend.clear_session()


def _trees(data: Any, split: str, path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Task -> other model -> its scores; fitted once."""
    from tfmtl.baselines import plain_report

    if not path.is_file():
        found = plain_report(data, split)
        flat = {f"{task}|{name}": own for task, models in found.scores.items() for name, own in models.items()}
        np.savez(path, **flat)
    scores: dict[str, dict[str, np.ndarray]] = {}
    for key, own in np.load(path).items():
        task, name = key.split("|")
        scores.setdefault(task, {})[name] = own
    return scores


def table(
    data: Any, name: str, runs: Sequence[Mapping[str, np.ndarray]], others: Mapping[str, Mapping[str, np.ndarray]]
) -> str:
    """A row per task and metric.

    Args:
        data: `PreparedData`.
        name: of the network.
        runs: of each seed `<task>` and `label <task>`, `(N,)`, and perhaps `groups`.
        others: task -> model -> `(N,)`.
    """
    trees = [each for each in next(iter(others.values())) if "trees" in each]
    linear = "logistic, linear"
    head = ["task", "metric", "constant", linear, *trees, name, *(f"less {each}" for each in trees)]
    lines = ["| " + " | ".join(head) + " |", "|---|---" + "|---:" * (len(head) - 2) + "|"]
    for task in data.problem.tasks:
        if task.name not in others:
            continue
        labels = runs[0][f"label {task.name}"]
        known = np.flatnonzero(~np.isnan(labels))
        metrics: dict[str, Metric] = {"AUC": roc_auc, "log loss": log_loss} if task.calibrates else {"RMSE": rmse}
        for title, metric in metrics.items():
            networks = [run[task.name] for run in runs]
            plain = {("trees" in each and each) or linear: own for each, own in others[task.name].items()}
            constant = np.full(len(labels), data.inputs.label_means[task.name], np.float32)
            values = np.array([metric(labels[known], own[known]) for own in networks])
            cells = [task.name, title, f"{metric(labels[known], constant[known]):.4f}"]
            cells += [f"{metric(labels[known], plain[each][known]):.4f}" for each in (linear, *trees)]
            cells.append(mean_and_deviation(values))
            for each in trees:
                cells.append(_difference(metric, labels, networks, plain[each], runs[0].get("groups")))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _difference(
    metric: Metric, labels: np.ndarray, networks: Sequence[np.ndarray], other: np.ndarray, groups: np.ndarray | None
) -> str:
    """The seeds' mean less another model's value, and its interval over groups of rows."""

    def less(rows: np.ndarray) -> float:
        own = rows[~np.isnan(labels[rows])]
        if metric is roc_auc and len(np.unique(labels[own])) < 2:
            return np.nan
        return float(np.mean([metric(labels[own], each[own]) for each in networks]) - metric(labels[own], other[own]))

    drawn = [less(rows) for rows in resampled_rows(len(labels), groups, RESAMPLES, 0)]
    interval = percentile_interval(drawn)
    ends = "" if interval is None else f" ({interval.low:+.4f} to {interval.high:+.4f})"
    return f"{less(np.arange(len(labels))):+.4f}{ends}"


if __name__ == "__main__":
    typer.run(main)
