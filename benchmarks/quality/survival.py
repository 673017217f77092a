"""Six public survival sets, five splits, one configuration: how well the survival head and its loss rank and predict.

    python -m benchmarks.quality.survival <folder with deepsurv_*.csv.gz and survset_*.csv.gz>

Head, loss and metrics are the library's; encoding and network are a few lines here, so that the protocol is that of the
packages compared with. Splits, encoding, grid: see docs/results/survival.md, which this writes.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import typer

from benchmarks.quality.experiment import WORK, results_folder, write_text
from benchmarks.quality.jobs import facts, use_one_thread
from benchmarks.quality.survival_indices import indices
from benchmarks.quality.survival_networks import fit_and_predict
from tfmtl.survival import SurvivalCurves

SETS = {
    "support": ("deepsurv_support", ()),
    "metabric": ("deepsurv_metabric", ()),
    "gbsg": ("deepsurv_gbsg", ()),
    "whas": ("deepsurv_whas", ()),
    "flchain": ("survset_flchain", ("fac_chapter",)),
    "support2": ("survset_support2", ("fac_sfdm2", "num_surv2m", "num_surv6m")),
}
# Antolini / Harrell / IBS of the best of nine others in each column, by the same protocol; DeepHit's Antolini left out.
BEST = {
    "support": (0.639, 0.616, 0.202),
    "metabric": (0.663, 0.651, 0.172),
    "gbsg": (0.690, 0.692, 0.175),
    "whas": (0.763, 0.767, 0.152),
    "flchain": (0.798, 0.798, 0.092),
    "support2": (0.782, 0.772, 0.156),
}
SHOWN = ("antolini", "harrell", "ibs", "ibs_kaplan_meier", "seconds")
FEWEST_OF_A_LEVEL = 10
PROTOCOL = """\
Sets: support, metabric, gbsg and whas of DeepSurv, whole, exact copies of rows dropped from whas (735 of 1,638 are
left: the rest are copies, across its own split too); flchain without the cause of death, support2 without three
columns that hold the outcome. Split s: `o = numpy.random.RandomState(s).permutation(n)`; test is the first fifth of
o, validation a fifth of the rest, training what is left; the model's seed is s. Numbers in standard deviations with
the median and a flag where missing, levels of 10 rows or more one-hot. IBS on 100 times up to the 0.9 quantile of
all times, censoring curve of training and validation rows.

One configuration for all sets, chosen on validation alone (fits to the training rows, splits 0 to 3): twenty networks
of two layers of 64 side by side, of which each is trained without a fifth of the training and validation rows and
stopped by it. Ten read every number in 16 bins of quantiles beside the number itself (`PiecewiseNumbers`). By turns of
five, a row moves the logits of all 20 hazards (equal steps of the Kaplan-Meier curve) alike, or by five smooth curves
(`shapes` of a survival task). Dropout 0.3, AdamW 0.004 with decay 0.01 and a cosine over 20 epochs, about 30 steps an
epoch (batches of 16 to 256), averaged weights (0.99), at most 5 epochs without a better one. The mean of all curves is
measured. Layers, loss and metrics are the library's; the rows do not go through `tfmtl preprocess`.

"best" is the best cell of its column among lifelines' Cox, XGBoost's Cox, scikit-survival's boosting and forest,
and pycox's CoxPH, LogisticHazard, MTLR, PCHazard and DeepHit by the same protocol on five splits (of support2 and
some models of whas on the first three): one model is rarely best in all three columns. DeepHit's Antolini index is left
out (.682 on metabric, .789 on support2, each with the worst IBS). Trees and Cox were fitted on training and validation
rows, as the networks here; pycox's are stopped by validation. Differences between models vary by .007 to .019 from
split to split: five splits resolve about .01. Seconds are processor seconds of a fit on one thread of a machine shared
with other work, tracing included."""


CURVES = WORK / "survival"
"""Where curves are kept for `survival_peers`, a file for each model, set and split."""


def main(
    data: Annotated[Path, typer.Argument(help="Folder with the files.")],
    sets: Annotated[str, typer.Option(help="Names, separated by commas; all if left out.")] = "",
    splits: int = 5,
    quick: Annotated[bool, typer.Option(help="Into the scratch folder.")] = False,
) -> None:
    """Trains on every split and writes docs/results/survival."""
    use_one_thread()
    found = {name: read(data, *SETS[name]) for name in (sets.split(",") if sets else SETS)}
    rows = []
    for split in range(splits):
        for name, (features, times, events) in found.items():
            result, curves = measure(features, times, events, split)
            keep(curves, "networks", name, split)
            rows.append({"set": name, "split": split, **result, **facts()})
            print(json.dumps(rows[-1]), flush=True)
    folder = results_folder(quick)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "survival.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_text(folder / "survival.md", rows, f"# Survival\n\n{PROTOCOL}\n\n{table(rows)}")


def keep(curves: SurvivalCurves, model: str, name: str, split: int) -> None:
    """Writes the curves of the test rows."""
    CURVES.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(CURVES / f"{model}_{name}_{split}.npz", edges=curves.edges, survival=curves.survival)


def read(data: Path, name: str, left_out: tuple[str, ...]) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Columns of features, times and events; exact copies of rows are dropped from `deepsurv_whas`."""
    log = csv.read_csv(data / f"{name}.csv.gz")
    log = log.drop_columns([column for column in ("split", "pid", *left_out) if column in log.column_names])
    if name == "deepsurv_whas":
        names = log.column_names
        first = log.append_column("row", pa.array(range(log.num_rows))).group_by(names).aggregate([("row", "min")])
        log = first.sort_by("row_min").select(names)  # the first of its copies stays, where it was
    times, events = (log[column].to_numpy().astype(np.float64) for column in ("time", "event"))
    return log.drop_columns(["time", "event"]), times, events


def encode(features: pa.Table, fitted: np.ndarray) -> np.ndarray:
    """Numbers in standard deviations, median and flag where missing; frequent levels one-hot. From fitted rows."""
    columns: list[np.ndarray] = []
    for name in features.column_names:
        values = features[name].combine_chunks()
        if pa.types.is_string(values.type):
            coded = values.dictionary_encode()
            codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy()
            counts = np.bincount(codes[fitted], minlength=codes.max() + 1)
            columns += [codes == level for level in np.flatnonzero(counts >= FEWEST_OF_A_LEVEL)]
            continue
        numbers = values.cast(pa.float64()).fill_null(np.nan).to_numpy()
        missing = np.isnan(numbers)
        if missing[fitted].any():
            columns.append(missing)
        filled = np.where(missing, np.nanmedian(numbers[fitted]), numbers)
        deviation = filled[fitted].std()
        columns.append((filled - filled[fitted].mean()) / (deviation if deviation > 0 else 1.0))
    return np.stack(columns, axis=1).astype(np.float32)


def judged_and_fitted(size: int, split: int, part: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """Places of the rows of a part and of those that a model is fitted to, all before it in turn."""
    order = np.random.RandomState(split).permutation(size)
    judged, fitted = order[: size // 5], order[size // 5 :]
    return (fitted[: len(fitted) // 5], fitted[len(fitted) // 5 :]) if part == "valid" else (judged, fitted)


def measure(
    features: pa.Table, times: np.ndarray, events: np.ndarray, split: int, part: str = "test"
) -> tuple[dict[str, Any], SurvivalCurves]:
    """Metrics on the test fifth, or on validation of a fit to the training rows, processor seconds, and the curves."""
    size = len(times)
    judged, fitted = judged_and_fitted(size, split, part)
    inputs = encode(features, fitted)
    start = time.process_time()
    curves = fit_and_predict(inputs, times, events, fitted, judged, split)
    seconds = time.process_time() - start
    of_judged, of_fitted = ((times[rows], events[rows]) for rows in (judged, fitted))
    found = indices(of_judged, curves, of_fitted, float(np.quantile(times, 0.9)))
    found["seconds"] = round(seconds, 1)
    return found, curves


def table(rows: list[dict[str, Any]]) -> str:
    """Means over splits beside the best of the others."""
    lines = ["| set | Antolini (sd) | best | Harrell | best | IBS | best | Kaplan-Meier | seconds |", "|---" * 9 + "|"]
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        mean = {key: float(np.mean([row[key] for row in own])) for key in SHOWN}
        spread = float(np.std([row["antolini"] for row in own], ddof=1)) if len(own) > 1 else 0.0
        antolini, harrell, ibs = BEST[name]
        lines.append(
            f"| {name} | {mean['antolini']:.3f} ({spread:.3f}) | {antolini:.3f} | {mean['harrell']:.3f} | "
            f"{harrell:.3f} | {mean['ibs']:.3f} | {ibs:.3f} | {mean['ibs_kaplan_meier']:.3f} | {mean['seconds']:.1f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
