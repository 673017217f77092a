"""Do flat minima pay where little data is learned by heart, at an equal number of gradient passes?

    python -m benchmarks.quality.flat_minima <log of census_income>
    python -m benchmarks.quality.flat_minima --data <prepared kuairand_explicit> --passes 6 --batch-size 512

Census-Income with a few per cent of its training rows, with and without flipped training labels, or prepared data as
they are; MMoE. SAM and ASAM take two gradients a step and their decomposed forms two for each task, so they have as
many times fewer epochs. What each form's radius is, and how long an average, is chosen on validation; then all seeds.
Prints the tables and keeps all runs in docs/results/flat_minima.jsonl.
"""

from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import typer

from benchmarks.quality.experiment import WORK, results_folder
from benchmarks.quality.jobs import Job, Variant, run_jobs
from benchmarks.quality.tables import quality_table
from tfmtl.folders import PreparedFolder

TASKS = ("income", "never_married")
VALIDATIONS = 20
_KEPT = {"valid": 0.25, "test": 0.5}  # shares, so that a run is short
# Ids stay as they are: that they are learned by heart is the question. Averages are a row of their own.
_WATCHED = {"monitor": "val_mean_relative_loss", "patience": VALIDATIONS, "id_dropout": 0.0, "ema_momentum": 0.0}
# Row of the table -> gradients a step, and what is tried.
FAMILIES: dict[str, tuple[int, tuple[dict[str, Any], ...]]] = {
    "none": (1, ({},)),
    "SAM": (2, ({"sharpness": "sam", "rho": 0.05}, {"sharpness": "sam", "rho": 0.2})),
    "ASAM": (2, ({"sharpness": "asam", "rho": 0.5}, {"sharpness": "asam", "rho": 2.0})),
    "SAM, decomposed": (4, ({"sharpness": "sam", "rho": 0.05, "decomposed": True},)),
    "weight averaging": (1, ({"ema_momentum": 0.99}, {"ema_momentum": 0.999})),
    "dropout": (1, ({"dropout": 0.1}, {"dropout": 0.3})),
}


def main(
    log: Annotated[Path | None, typer.Argument(help="log.parquet of `tfmtl datasets census_income`.")] = None,
    data: Annotated[Path | None, typer.Option(help="Prepared data, in place of the log.")] = None,
    share: Annotated[float, typer.Option(help="Of the training rows.")] = 0.03,
    noise: Annotated[str, typer.Option(help="Shares of the training labels that are flipped.")] = "0,0.2",
    seeds: str = "0,1,2,3,4,5,6,7,8,9",
    trial_seeds: Annotated[str, typer.Option(help="Seeds that choose the setting, on validation.")] = "0,1",
    passes: Annotated[int, typer.Option(help="Epochs where a step takes one gradient.")] = 20,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    processes: int = 2,
    families: Annotated[str, typer.Option(help="Rows of the table, by semicolons; all if left out.")] = "",
    quick: Annotated[bool, typer.Option(help="One seed, few epochs.")] = False,
) -> None:
    """Trains all variants and prints the results of these seeds."""
    if quick:
        seeds, trial_seeds, passes, noise = "0", "0", 4, "0"
    drawn, tried = ([int(seed) for seed in text.split(",")] for text in (seeds, trial_seeds))
    chosen_rows = families.split(";") if families else list(FAMILIES)
    done = results_folder(quick) / "flat_minima.jsonl"
    if (log is None) == (data is None):
        raise typer.BadParameter("Name the log of census_income, or prepared data.")
    for flipped in map(float, noise.split(",") if log else "0"):
        folder = _data(log, share, flipped) if log else data
        common = {"data": str(folder), "batch_size": batch_size, "schedule": "cosine"}
        records: list[dict[str, Any]] = []
        for name in chosen_rows:
            gradients, settings = FAMILIES[name]
            options: dict[str, Any] = {**common, "learning_rate": learning_rate, "epochs": max(1, passes // gradients)}
            scores = {}
            for variant in (_variant(name, setting, gradients) for setting in settings):
                runs = run_jobs([Job(variant=variant, seed=seed, **options) for seed in tried], done, processes)
                scores[fmean(run["best"] for run in runs)] = variant
            best = scores[min(scores)]
            runs = run_jobs([Job(variant=best, seed=seed, **options) for seed in drawn], done, processes)
            records += [{**run, "variant": _title(name, best)} for run in runs]
        print(f"\n{Path(str(folder)).name}, {flipped:.0%} of the training labels flipped\n")
        print(quality_table(records, ["none"]))


def _variant(name: str, setting: dict[str, Any], gradients: int) -> Variant:
    training = {key: value for key, value in setting.items() if key != "dropout"}
    options = {key: value for key, value in setting.items() if key == "dropout"}
    # As many validations for all, so that none is stopped at a luckier moment.
    return Variant(name, "mmoe", options, {**_WATCHED, **training, "evaluate_every": 1.0 / gradients})


def _title(name: str, variant: Variant) -> str:
    """The row's name with the setting that was chosen."""
    value = {**variant.training, **variant.options}
    chosen = next((value[key] for key in ("rho", "ema_momentum", "dropout") if value.get(key)), None)
    return name if chosen is None else f"{name} {chosen:g}"


def _data(log: Path, share: float, flipped: float) -> Path:
    """The preprocessed log with fewer training rows, some of whose labels are flipped; made unless it is there."""
    from tfmtl.pipelines.datasets import DATASETS
    from tfmtl.pipelines.preprocess.job import preprocess

    folder = WORK / f"flat_{share:g}_{flipped:g}"
    if not PreparedFolder(folder).is_complete:
        source = folder.with_suffix(".parquet")
        folder.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(thinned(parquet.read_table(log), share, flipped), source)
        preprocess(DATASETS["census_income"].problem, [str(source)], str(folder))
        source.unlink()
    return folder


def thinned(rows: pa.Table, share: float, flipped: float) -> pa.Table:
    """Rows with this share of the training rows, and of their labels flipped; validation and test have true labels."""
    rng = np.random.default_rng(7)
    split = rows["split"].to_numpy(zero_copy_only=False)
    kept = np.select([split == name for name in _KEPT], list(_KEPT.values()), share)
    rows = rows.filter(pa.array(rng.random(len(split)) < kept))
    is_train = rows["split"].to_numpy(zero_copy_only=False) == "train"
    for task in TASKS:
        labels = rows[task].to_numpy()
        turned = is_train & (rng.random(len(labels)) < flipped)
        place = rows.schema.get_field_index(task)
        rows = rows.set_column(place, task, pa.array(np.where(turned, 1 - labels, labels).astype(labels.dtype)))
    return rows


if __name__ == "__main__":
    typer.run(main)
