"""Census-Income, official split: every tabular model and gradient boosted trees on the same rows.

    python -m benchmarks.quality.census_income <data folder> <log.parquet>

The folder is `tfmtl preprocess`'s, the log what it was made from (`tfmtl datasets census_income`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import typer

from benchmarks.quality.experiment import measure, results_folder, write_text
from benchmarks.quality.jobs import Variant
from benchmarks.quality.tables import quality_table

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
    models: str = "",
    quick: Annotated[bool, typer.Option(help="One seed, one epoch.")] = False,
) -> None:
    """Trains all models and writes docs/results/census_income."""
    if quick:
        seeds, epochs = "0", 1
    drawn = [int(seed) for seed in seeds.split(",")]
    variants = [variant for variant in VARIANTS if not models or variant.name in models.split(",")]
    rates = [float(rate) for rate in learning_rates.split(",")]
    output = results_folder(quick)
    records = measure(
        output / "census_income.jsonl", data, variants, drawn, rates, processes, epochs=epochs, batch_size=batch_size
    )
    trees = _trees(log, drawn)
    lines = [
        "# Census-Income",
        "",
        "Official split: models see the train file alone (a tenth of it for early stopping), metrics are of the whole",
        "test file. Nothing is tuned but the number of epochs.",
        "",
        quality_table([*records, *trees]),
        "",
        "Published, on other cuts of the same data:",
        "",
        PUBLISHED,
    ]
    write_text(output / "census_income.md", records, "\n".join(lines))


def _trees(log: Path, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """scikit-learn's HistGradientBoosting on the whole train file, a model a task, stopping early by itself."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    from pipelines.datasets import DATASETS
    from tfmtl.metrics import evaluate_task
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
    records = []
    for seed in seeds:
        test = {}
        for task in problem.tasks:
            labels = rows[task.label_column].to_numpy().astype(float)
            model = HistGradientBoostingClassifier(
                categorical_features=categorical, max_iter=500, early_stopping=True, random_state=seed
            )
            model.fit(inputs[~held], labels[~held])
            scores = model.predict_proba(inputs[held])[:, 1]
            test[task.name] = evaluate_task("binary", labels[held], scores, None)
        records.append({"variant": "boosted trees", "seed": seed, "parameters": 0, "learning_rate": 0.1, "test": test})
        print(f"trees seed {seed}: " + ", ".join(f"{name} {metrics['auc']:.4f}" for name, metrics in test.items()))
    return records


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
