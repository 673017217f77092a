"""Six public survival sets, five splits, one configuration: how well the survival head and its loss rank and predict.

    python -m benchmarks.quality.survival <folder with deepsurv_*.csv.gz and survset_*.csv.gz>

Head, loss and metrics are the library's; encoding and network are a few lines here, so that the protocol is that of the
packages compared with. Splits, encoding, grid: see docs/results/survival.md, which this writes.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import tensorflow as tf
import typer

from benchmarks.quality.experiment import results_folder, write_text
from tfmtl.layers import PiecewiseNumbers, StackedDense
from tfmtl.losses.survival import hazard_loss
from tfmtl.metrics.survival import antolini_index, harrell_index, integrated_brier_score
from tfmtl.survival import SurvivalCurves, censoring_curve, kaplan_meier, survival_quantile_cuts
from tfmtl.survival.smooth_shapes import smooth_shapes

SETS = {
    "support": ("deepsurv_support", ()),
    "metabric": ("deepsurv_metabric", ()),
    "gbsg": ("deepsurv_gbsg", ()),
    "whas": ("deepsurv_whas", ()),
    "flchain": ("survset_flchain", ("fac_chapter",)),
    "support2": ("survset_support2", ("fac_sfdm2", "num_surv2m", "num_surv6m")),
}
# Antolini / Harrell / IBS of the best of seven others in each column, by the same protocol.
BEST = {
    "support": (0.639, 0.616, 0.202),
    "metabric": (0.682, 0.651, 0.172),
    "gbsg": (0.690, 0.692, 0.175),
    "whas": (0.763, 0.767, 0.152),
    "flchain": (0.798, 0.798, 0.092),
    "support2": (0.789, 0.772, 0.156),
}
FEWEST_OF_A_LEVEL = 10
PROTOCOL = """\
Sets: support, metabric, gbsg and whas of DeepSurv, whole, exact copies of rows dropped from whas (735 of 1,638 are
left: the rest are copies, across its own split too); flchain without the cause of death, support2 without three
columns that hold the outcome. Split s: `o = numpy.random.RandomState(s).permutation(n)`; test is the first fifth of
o, validation a fifth of the rest, training what is left; the model's seed is s. Numbers in standard deviations with
the median and a flag where missing, levels of 10 rows or more one-hot. IBS on 100 times up to the 0.9 quantile of
all times, censoring curve of training and validation rows.

One configuration for all sets, chosen before any test row was looked at: hazards on 20 equal steps of the Kaplan-
Meier curve; five networks of two layers of 64, batch normalization, dropout 0.4, AdamW 0.003 with decay 0.01,
batches of 256, trained side by side on the training rows and stopped together after 10 epochs without a better
likelihood on validation; their mean curve is what is measured. Head, loss and metrics are the library's; the
network is some lines of Keras, not a preset, and the rows do not go through `tfmtl preprocess`.

"best" is the best cell of its column among lifelines' Cox, XGBoost's Cox, scikit-survival's boosting and forest,
and pycox's CoxPH, LogisticHazard, MTLR, PCHazard and DeepHit by the same protocol on five splits (of support2 and
some models of whas on the first three): one model is rarely best in all three columns (DeepHit is in Antolini's
index on metabric and support2, with the worst IBS). Trees and Cox were fitted on training and validation rows.
Differences between models vary by .007 to .019 from split to split: five splits resolve about .01. Seconds are of a
machine shared with other work and no measure of speed."""
INTERVALS, NUMBER_BINS, SHAPES, FOLDS = 20, 16, 5, 5
MEMBERS, UNITS, DROPOUT, FIRST_MOVES = 4 * FOLDS, 64, 0.3, 0.3
RATE, DECAY, EMA, EPOCHS, PATIENCE, STEPS_OF_AN_EPOCH = 4e-3, 0.01, 0.99, 20, 5, 30


def main(
    data: Annotated[Path, typer.Argument(help="Folder with the files.")],
    sets: Annotated[str, typer.Option(help="Names, separated by commas; all if left out.")] = "",
    splits: int = 5,
    quick: Annotated[bool, typer.Option(help="Into the scratch folder.")] = False,
) -> None:
    """Trains on every split and writes docs/results/survival."""
    found = {name: read(data, *SETS[name]) for name in (sets.split(",") if sets else SETS)}
    rows = []
    for split in range(splits):
        for name, (features, times, events) in found.items():
            rows.append({"set": name, "split": split, **measure(features, times, events, split)})
            print(json.dumps(rows[-1]), flush=True)
    folder = results_folder(quick)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "survival.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_text(folder / "survival.md", [], f"# Survival\n\n{PROTOCOL}\n\n{table(rows)}")


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


def measure(
    features: pa.Table, times: np.ndarray, events: np.ndarray, split: int, part: str = "test"
) -> tuple[dict[str, Any], SurvivalCurves]:
    """Metrics on the test fifth, or on validation of a fit to the training rows, processor seconds, and the curves."""
    size = len(times)
    order = np.random.RandomState(split).permutation(size)
    judged, fitted = order[: size // 5], order[size // 5 :]
    if part == "valid":
        judged, fitted = fitted[: len(fitted) // 5], fitted[len(fitted) // 5 :]
    inputs = encode(features, fitted)
    start = time.process_time()
    curves = fit_and_predict(inputs, times, events, fitted, judged, split)
    seconds = time.process_time() - start
    grid = np.linspace(0.0, np.quantile(times, 0.9), 101)[1:]
    censoring = censoring_curve(times[fitted], events[fitted])
    plain = kaplan_meier(times[fitted], events[fitted]).at(grid)
    same = SurvivalCurves(grid, np.tile(plain, (len(judged), 1)))
    t, e = times[judged], events[judged]
    found = {
        "antolini": antolini_index(t, e, curves),
        "harrell": harrell_index(t, e, -curves.expected_lifetime()),
        "ibs": integrated_brier_score(t, e, curves, grid, censoring),
        "ibs_kaplan_meier": integrated_brier_score(t, e, same, grid, censoring),
        "seconds": round(seconds, 1),
    }
    return found, curves


def fit_and_predict(
    inputs: np.ndarray, times: np.ndarray, events: np.ndarray, fitted: np.ndarray, judged: np.ndarray, seed: int
) -> SurvivalCurves:
    """Mean curve of networks that are trained side by side on the fitted rows, each without a fifth of them."""
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    cuts = survival_quantile_cuts(INTERVALS, times[fitted], events[fitted])
    edges = np.array(cuts.edges)
    bins = piecewise(inputs, fitted)
    network = networks(inputs.shape[1], bins.shape[1], np.array(cuts.events) / np.array(cuts.at_risk))
    fold = generator.permutation(np.arange(len(fitted)) % FOLDS)
    own = [fitted[fold != member % FOLDS] for member in range(MEMBERS)]
    held = [fitted[fold == member % FOLDS] for member in range(MEMBERS)]
    held_rows = np.stack([rows[: len(fitted) // FOLDS] for rows in held], axis=1)
    size = min(map(len, own))
    batch = int(2 ** np.clip(np.round(np.log2(size / STEPS_OF_AN_EPOCH)), 4, 8))
    steps = size // batch
    schedule = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=DECAY)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(network.trainable_variables)
    averages = [tf.Variable(weight) for weight in network.trainable_variables]
    columns = [tf.constant(column, tf.float32) for column in (inputs, bins, times, events)]

    def given(rows: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        raw, binned, t, e = (tf.gather(column, rows) for column in columns)  # (B, M, width), (B, M)
        return [raw, binned[:, : MEMBERS // 2]], tf.reshape(t, [-1]), tf.reshape(e, [-1])

    @tf.function
    def step(rows: tf.Tensor) -> None:
        x, t, e = given(rows)
        with tf.GradientTape() as tape:
            logits = tf.reshape(network(x, training=True), [-1, len(edges)])
            loss = MEMBERS * hazard_loss(t, e, logits, cuts.edges)
        weights = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        done = tf.cast(optimizer.iterations, tf.float32)
        kept = tf.minimum(EMA, (1.0 + done) / (10.0 + done))
        for average, weight in zip(averages, weights, strict=True):
            average.assign(kept * average + (1.0 - kept) * weight)

    @tf.function
    def survival(weights: list[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
        logits, _ = network.stateless_call(weights, network.non_trainable_variables, given(rows)[0])
        return tf.exp(-tf.cumsum(tf.nn.softplus(logits), axis=2))  # (B, M, K)

    best, waited, kept = np.full(MEMBERS, np.inf), 0, [average.numpy() for average in averages]
    for _ in range(EPOCHS):
        shuffled = np.stack([generator.permutation(rows)[: steps * batch] for rows in own], axis=1)
        for first in range(0, steps * batch, batch):
            step(tf.constant(shuffled[first : first + batch], tf.int32))
        found = survival(list(averages), tf.constant(held_rows, tf.int32)).numpy()
        losses = [likelihood(found[:, m], times[rows], events[rows], edges) for m, rows in enumerate(held_rows.T)]
        better = np.array(losses) < best - 1e-4
        best = np.where(better, losses, best)
        for place, average in enumerate(averages):
            kept[place][better[: len(kept[place])]] = average.numpy()[better[: len(kept[place])]]
        waited = 0 if better.any() else waited + 1
        if waited >= PATIENCE:
            break
    rows = np.tile(judged[:, np.newaxis], (1, MEMBERS))
    curves = survival([tf.constant(each) for each in kept], tf.constant(rows, tf.int32)).numpy()
    return SurvivalCurves(edges, curves.astype(np.float64).mean(axis=1))


def networks(width: int, bins: int, hazards: np.ndarray) -> keras.Model:
    """Inputs `(B, M, width)` and `(B, M / 2, bins)` to logits of hazards `(B, M, K)`, side by side.

    The first half reads the bins, too. By turns of five members, a row moves all logits alike (proportional odds) or
    by `SHAPES` smooth curves.
    """
    raw, binned = keras.Input((MEMBERS, width)), keras.Input((MEMBERS // 2, bins))
    # As if both were one input, of which half of the networks see zeros: larger weights learned far more slowly.
    small = keras.initializers.RandomNormal(stddev=float(np.sqrt(2.0 / (width + bins))))
    hidden = StackedDense(MEMBERS, UNITS, kernel_initializer=small)(raw)
    more = StackedDense(MEMBERS // 2, UNITS, use_bias=False, kernel_initializer=small)(binned)
    hidden = keras.layers.Concatenate(axis=1)([hidden[:, : MEMBERS // 2] + more, hidden[:, MEMBERS // 2 :]])
    hidden = keras.layers.Dropout(DROPOUT)(keras.layers.ReLU()(hidden))
    hidden = StackedDense(MEMBERS, UNITS, "relu", kernel_initializer="he_normal")(hidden)
    least = keras.initializers.RandomNormal(stddev=FIRST_MOVES / float(np.sqrt(UNITS)))
    moves = StackedDense(MEMBERS, SHAPES, use_bias=False, kernel_initializer=least)(keras.layers.Dropout(DROPOUT)(hidden))
    proportional = np.arange(MEMBERS) // FOLDS % 2 == 0
    shapes = np.tile(smooth_shapes(len(hazards), SHAPES), (MEMBERS, 1, 1))
    shapes[proportional, 1:] = 0.0
    return keras.Model([raw, binned], HazardLogits(shapes, hazards)(moves))


class HazardLogits(keras.layers.Layer):
    """Moves `(B, M, S)` along shapes `(M, S, K)` from the logits of the hazards `(K,)`: `(B, M, K)`."""

    def __init__(self, shapes: np.ndarray, hazards: np.ndarray) -> None:
        super().__init__()
        self.shapes = shapes
        share = np.clip(hazards, 1e-3, 0.999)
        first = np.tile(np.log(share / (1.0 - share)), (len(shapes), 1))
        self.bias = self.add_weight(
            name="bias", shape=first.shape, initializer=keras.initializers.Constant(first.tolist())
        )

    def call(self, moves: tf.Tensor) -> tf.Tensor:
        return tf.einsum("bms,msk->bmk", moves, tf.constant(self.shapes, tf.float32)) + self.bias


def piecewise(inputs: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """How far numbers have come in each of the bins between their quantiles, less the mean and doubled."""
    columns = np.array([len(np.unique(column)) > 2 for column in inputs[fitted].T])
    numbers = inputs[:, columns]
    layer = PiecewiseNumbers(1, NUMBER_BINS)
    layer.build((None, numbers.shape[1]))
    layer.adapt(numbers[fitted])
    encoded = np.asarray(layer.encode(numbers, layer.knots)).reshape(len(numbers), -1)
    encoded = encoded[:, np.ptp(encoded[fitted], axis=0) > 0]
    return np.asarray(2.0 * (encoded - encoded[fitted].mean(axis=0)), np.float32)


def likelihood(survival: np.ndarray, times: np.ndarray, events: np.ndarray, edges: np.ndarray) -> float:
    """Mean negative log-likelihood on the intervals."""
    padded = np.concatenate([np.ones((len(times), 1)), survival], axis=1)
    row, interval = np.arange(len(times)), np.searchsorted(edges, times)
    lived = padded[row, np.searchsorted(edges, times, side="right")]
    inside = np.minimum(interval, len(edges) - 1)
    ended = padded[row, inside] - padded[row, inside + 1]
    return float(-np.log(np.maximum(np.where((events == 1) & (interval < len(edges)), ended, lived), 1e-12)).mean())


def table(rows: list[dict[str, Any]]) -> str:
    """Means over splits beside the best of the others."""
    lines = ["| set | Antolini (sd) | best | Harrell | best | IBS | best | Kaplan-Meier | seconds |", "|---" * 9 + "|"]
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        mean = {key: float(np.mean([row[key] for row in own])) for key in own[0] if key not in ("set", "split")}
        spread = float(np.std([row["antolini"] for row in own], ddof=1)) if len(own) > 1 else 0.0
        antolini, harrell, ibs = BEST[name]
        lines.append(
            f"| {name} | {mean['antolini']:.3f} ({spread:.3f}) | {antolini:.3f} | {mean['harrell']:.3f} | "
            f"{harrell:.3f} | {mean['ibs']:.3f} | {ibs:.3f} | {mean['ibs_kaplan_meier']:.3f} | {mean['seconds']:.1f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
