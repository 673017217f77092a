"""The networks of the six public survival sets: two kinds of hazards, with and without bins, side by side.

Half of the networks read numbers in bins beside the numbers themselves. By turns, a row moves the logits of all
intervals alike, as in a model of proportional odds, or by a few smooth curves. Each network is trained without a fifth
of the rows, which stop it; its weights are averages over the steps; the mean of all curves is the answer.
"""

import keras
import numpy as np
import tensorflow as tf

from tfmtl.layers import PiecewiseNumbers, StackedDense
from tfmtl.losses.survival import hazard_loss
from tfmtl.survival import SurvivalCurves, survival_quantile_cuts
from tfmtl.survival.smooth_shapes import smooth_shapes

INTERVALS, NUMBER_BINS, SHAPES, FOLDS = 20, 16, 5, 5
MEMBERS, UNITS, DROPOUT, FIRST_MOVES = 4 * FOLDS, 64, 0.3, 0.3
RATE, DECAY, EMA, EPOCHS, PATIENCE, STEPS_OF_AN_EPOCH = 4e-3, 0.01, 0.99, 20, 5, 30


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
    hidden = keras.layers.Dropout(DROPOUT)(hidden)
    moves = StackedDense(MEMBERS, SHAPES, use_bias=False, kernel_initializer=least)(hidden)
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
