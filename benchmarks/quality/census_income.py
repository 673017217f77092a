"""Census-Income, official split: every tabular model and gradient boosted trees on the same rows.

    python -m benchmarks.quality.census_income <data folder> <log.parquet>

The folder is `tfmtl preprocess`'s, the log what it was made from (`tfmtl datasets census_income`).
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import typer

from benchmarks.quality.experiment import measure, results_folder, write_text
from benchmarks.quality.jobs import Variant, facts
from benchmarks.quality.tables import quality_table

TREES = "boosted trees"
TUNED_ROW = "one network, tuned"
_NARROW = {"hidden_units": (64, 32)}

VARIANTS = (
    Variant("single task", "single_task"),
    Variant("shared bottom", "shared_bottom"),
    Variant("MMoE", "mmoe"),
    Variant("CGC", "ple", {"num_levels": 1}),
    Variant("PLE", "ple"),
    Variant("AITM", "aitm"),
    Variant("SENet", "interaction", {"kind": "senet"}),
    Variant("FiBiNET", "interaction", {"kind": "fibinet"} | _NARROW),
    Variant("DCN-V2", "interaction", {"kind": "dcn_v2"}),
    Variant("FM", "interaction", {"kind": "fm"}),
    Variant("CIN", "interaction", {"kind": "cin"}),
    Variant("AutoInt", "interaction", {"kind": "autoint"}),
    Variant("DTRN (TRM)", "dtrn"),
    Variant("DEPHN", "dephn", {"cross_rank": 32}),
    Variant("APEM", "apem"),
)
# One multi-task network against the trees: which of these is decided on the validation tenth, by the mean of all seeds.
CANDIDATES = (
    Variant("shared bottom 256-128, dropout 0.2", "shared_bottom", {"hidden_units": (256, 128), "dropout": 0.2}),
    Variant("MMoE, dropout 0.2", "mmoe", {"dropout": 0.2}),
    Variant("DCN-V2, dropout 0.2", "interaction", {"kind": "dcn_v2", "dropout": 0.2}),
    Variant(
        "DCN-V2, dropout 0.2, averaged", "interaction", {"kind": "dcn_v2", "dropout": 0.2}, {"ema_momentum": 0.999}
    ),
)
_TUNED = {"epochs": 12, "batch_size": 1024, "decay": 0.75}
_TUNED_RATE = 2e-3

PUBLISHED = """| source | protocol | income AUC | never married AUC |
|---|---|---|---|
| PaddleRec, MMoE readme | validation and test are halves of the test file; best epoch | .94937 | .99419 |
| PaddleRec, MMoE readme | the same, mean | .94465 | .99324 |
| IJANMC 2024, single task | another feature set | .9198 | .9748 |
| IJANMC 2024, shared bottom / MMoE / PLE | the same | .9148 / .9152 / .9161 | .9754 / .9756 / .9764 |
| MMoE paper, KDD 2018 (second-hand) | best of runs; single task / MMoE | .9398 / .9410 | .9933 / .9926 |"""


def main(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    log: Annotated[Path, typer.Argument(help="The rows it was made from, for the trees.")],
    seeds: str = "0,1,2,3,4",
    learning_rates: str = "0.001",
    epochs: int = 8,
    batch_size: int = 1024,
    processes: int = 2,
    models: Annotated[str, typer.Option(help="Rows of the table, separated by commas; all if left out.")] = "",
    candidates: Annotated[str, typer.Option(help="What the tuned row is chosen from, by semicolons.")] = "",
    tree_seeds: Annotated[str, typer.Option(help="Seeds of the trees; those of the models if left out.")] = "",
    quick: Annotated[bool, typer.Option(help="One seed, one epoch.")] = False,
) -> None:
    """Trains all models and writes docs/results/census_income."""
    if quick:
        seeds, epochs = "0", 1
    drawn = [int(seed) for seed in seeds.split(",")]
    variants = [variant for variant in VARIANTS if not models or variant.name in models.split(",")]
    rates = [float(rate) for rate in learning_rates.split(",")]
    done = results_folder(quick) / "census_income.jsonl"
    records = measure(done, data, variants, drawn, rates, processes, epochs=epochs, batch_size=batch_size)
    tried = [variant for variant in CANDIDATES if not candidates or variant.name in candidates.split(";")]
    tuned, trials = _tuned(done, data, tried, drawn, processes)
    trees = _trees(log, [int(seed) for seed in tree_seeds.split(",")] if tree_seeds else drawn, done)
    lines = [
        "# Census-Income",
        "",
        "Official split: models see the train file alone (a tenth of it for early stopping), metrics are of the whole",
        f"test file. Up to {epochs} epochs, batches of {batch_size}, learning rate {learning_rates}; nothing is tuned",
        f"but the row {TUNED_ROW!r}.",
        "",
        quality_table([*records, *tuned, *trees], [TREES]),
        "",
        f"The row {TUNED_ROW!r} is the best of these on the validation tenth, mean of all seeds; the test had no say.",
        f"Learning rate {_TUNED_RATE:g}, times {_TUNED['decay']} after every epoch, up to {_TUNED['epochs']} epochs,",
        f"batches of {_TUNED['batch_size']}; averaged: with the moving average of the weights, momentum 0.999.",
        "",
        "| candidate | validation mean AUC |",
        "|---|---|",
        *(f"| {name} | {score:.5f} |" for name, score in trials.items()),
        "",
        "Published, on other cuts of the same data:",
        "",
        PUBLISHED,
    ]
    write_text(done.with_suffix(".md"), [*records, *tuned, *trees], "\n".join(lines))


def _tuned(
    done: Path, data: Path, candidates: Sequence[Variant], seeds: Sequence[int], processes: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Runs of the candidate that is best on validation, under the name of the tuned row; and all candidates' scores."""
    trials = measure(done, data, candidates, seeds, [_TUNED_RATE], processes, **_TUNED)
    scores = {
        variant.name: fmean(trial["best"] for trial in trials if trial["variant"] == variant.name)
        for variant in candidates
    }
    best = max(scores, key=lambda name: scores[name])
    return [{**trial, "variant": TUNED_ROW} for trial in trials if trial["variant"] == best], scores


def _trees(log: Path, seeds: Sequence[int], done: Path) -> list[dict[str, Any]]:
    """scikit-learn's HistGradientBoosting on the whole train file, a model per task, stopping early by itself."""
    known = [json.loads(line) for line in done.read_text().splitlines()] if done.is_file() else []
    records = {record["seed"]: record for record in known if record["variant"] == TREES}
    missing = [seed for seed in seeds if seed not in records]
    if missing:
        with done.open("a") as lines:
            for record in _grown_trees(log, missing):
                records[record["seed"]] = {**record, **facts()}
                lines.write(json.dumps(records[record["seed"]]) + "\n")
                lines.flush()
    return [records[seed] for seed in seeds]


def _grown_trees(log: Path, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    from tfmtl.metrics import evaluate_task
    from tfmtl.pipelines.datasets import DATASETS
    from tfmtl.schema import CategoricalFeature

    problem = DATASETS["census_income"].problem
    rows = parquet.read_table(log)
    held = rows["split"].to_numpy() == "test"
    categorical = [isinstance(feature, CategoricalFeature) for feature in problem.features]
    columns = [
        _codes(rows[feature.name], ~held) if is_category else rows[feature.name].to_numpy().astype(float)
        for feature, is_category in zip(problem.features, categorical, strict=True)
    ]
    inputs = np.stack(columns, axis=1)
    for seed in seeds:
        started, test = time.monotonic(), {}
        for task in problem.tasks:
            labels = rows[task.label_column].to_numpy().astype(float)
            model = HistGradientBoostingClassifier(
                categorical_features=categorical, max_iter=500, early_stopping=True, random_state=seed
            )
            model.fit(inputs[~held], labels[~held])
            scores = model.predict_proba(inputs[held])[:, 1]
            test[task.name] = evaluate_task("binary", labels[held], scores, None)
        print(f"trees seed {seed}: " + ", ".join(f"{name} {metrics['auc']:.4f}" for name, metrics in test.items()))
        seconds = round(time.monotonic() - started, 1)
        record = {"key": f"{TREES} {seed}", "variant": TREES, "seed": seed, "parameters": 0, "learning_rate": 0.1}
        yield {**record, "test": test, "seconds": seconds}


def _codes(column: pa.ChunkedArray, train: np.ndarray) -> np.ndarray:
    """Categories as numbers, the most frequent of the train file first; the trees take 255, others are missing."""
    encoded = pc.dictionary_encode(column.cast(pa.string())).combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(float)
    counts = np.bincount(codes[train & ~np.isnan(codes)].astype(int), minlength=len(encoded.dictionary))
    rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable").astype(float)
    known = ~np.isnan(codes)
    codes[known] = rank[codes[known].astype(int)]
    codes[known & (codes >= 254)] = np.nan
    return codes


if __name__ == "__main__":
    typer.run(main)
