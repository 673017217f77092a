"""Ads: a made-up log of ad creatives in which the hazard of every day is known.

A creative has a title, a banner, a genre and three days of impressions and clicks; it is still running then. What it
does not show is its quality q and its fatigue f, sums of what title, banner and genre stand for; the quality has a
part of its own, its appeal, that is seen in the clicks alone. On day d after the third, at any moment of it, it is
stopped with the hazard

    h(d) = 1 - exp(-(cut-out + wear-out)),   cut-out = .06 exp(-1.2 q - d / 5),
    wear-out = .02 exp(1.2 f) (impressions so far / 400,000)

so bad ones go within days, and good ones when their audience has seen them often enough. Clicks are drawn from a rate
that grows with the quality. Observation ends 120 days after the third day, or earlier where the creative began later
than that before the end of the log: there the time is censored.

Of a title only the order of its words matters, of a banner only the shape, whatever its place, colors and brightness:
no count of words and no mean of pixels says anything. No model can expect a higher c-index than the order of the true
expected lifetimes has: `best_c`.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.metrics.survival import harrell_index
from tfmtl.pipelines.datasets.creative_pictures import SHAPES, draw_pictures
from tfmtl.pipelines.datasets.creative_titles import PAIRS, draw_titles
from tfmtl.pipelines.datasets.dataset import Dataset
from tfmtl.pipelines.datasets.running_ads import which_stop_soon
from tfmtl.schema import SPLITS
from tfmtl.schema.checks import check_count, check_one_of, check_positive_int

HORIZON = 120
HISTORY_DAYS = 3
GENRES = ("games", "food", "travel", "beauty", "books", "sports")
_PARTS = ((1.0, 1.0, 0.65, 0.9), (0.9, 0.9, 0.65))  # of title, banner, genre and appeal in quality, and in fatigue
_SPLIT_SHARES = (0.6, 0.2, 0.2)
_LOG_DAYS = 400  # in which creatives begin


def creatives_log(seed: int = 0, number: int = 12000, world_seed: int | None = None) -> pa.Table:
    """A log with a row a creative, and a column `expected_days`: the true expected lifetime within `HORIZON` days.

    Args:
        seed: int. Same arguments, same table. Defaults to `0`.
        number: int. Creatives that still run after three days. Defaults to `12000`.
        world_seed: int or None. Of what words, shapes and genres stand for. Defaults to `None`: `seed`.

    Raises:
        TypeError: an argument is not a number of its kind.
        ValueError: an argument is out of range; the text says which.
    """
    check_count("creatives_log", "seed", seed)
    check_positive_int("creatives_log", "number", number)
    world = np.random.default_rng(seed if world_seed is None else world_seed)
    title_codes = _unit(world.normal(size=(2, len(PAIRS))))  # what an order says of quality, and of fatigue
    shape_codes = np.stack([world.permutation(np.array([-1.34, -0.45, 0.45, 1.34])) for _ in range(2)])
    genre_codes = np.stack([world.permutation(np.linspace(-1.46, 1.46, len(GENRES))) for _ in range(2)])
    generator = np.random.default_rng((seed, 1))
    titles = draw_titles(generator, number)
    shapes = generator.integers(len(SHAPES), size=number)
    genres = generator.integers(len(GENRES), size=number)
    appeal = generator.normal(size=number)
    codes = [titles.signs @ title_codes.T / 2.0, shape_codes.T[shapes], genre_codes.T[genres]]
    quality = sum(part * code[:, 0] for part, code in zip(_PARTS[0], codes, strict=False)) + _PARTS[0][3] * appeal
    fatigue = sum(part * code[:, 1] for part, code in zip(_PARTS[1], codes, strict=True))
    pace = np.exp(generator.normal(np.log(8000.0), 0.5, size=number))  # impressions a day
    hazards = _hazards(quality, fatigue, pace)
    history = generator.poisson(pace[:, np.newaxis] * generator.uniform(0.8, 1.2, size=(number, HISTORY_DAYS)))
    rate = 0.03 * np.exp(0.05 * quality + 0.4 * appeal)
    clicks = generator.binomial(history, np.minimum(rate, 0.5)[:, np.newaxis])
    begins = generator.integers(_LOG_DAYS, size=number)
    observed = np.minimum(HORIZON, _LOG_DAYS - begins + 1)
    lasts = generator.random((number, HORIZON)) >= hazards
    life = np.where(lasts.all(axis=1), HORIZON + 1, 1 + (~lasts).argmax(axis=1))
    survival = np.cumprod(1.0 - hazards, axis=1)
    stopped = life <= observed
    moment = generator.random(number)  # at which the last day ends early: 0 at its end
    split = generator.choice(len(SPLITS), size=number, p=_SPLIT_SHARES)
    return pa.table(
        {
            "creative": [f"c{row}" for row in range(number)],
            "title": titles.texts,
            "banner": pa.array(_png_files(draw_pictures(generator, shapes)), pa.binary()),
            "genre": np.array(GENRES)[genres],
            "impressions": pa.array(history.tolist(), pa.list_(pa.int64())),
            "clicks": pa.array(clicks.tolist(), pa.list_(pa.int64())),
            "ctr": clicks.sum(axis=1) / np.maximum(history.sum(axis=1), 1),
            "days": np.where(stopped, np.maximum(np.round(life - moment, 2), 0.01), observed),
            "stopped": stopped.astype(np.int8),
            "split": np.array(SPLITS)[split],
            "expected_days": survival[:, :-1].sum(axis=1) + (1.0 + survival[:, -1]) / 2.0,
        }
    )


def best_c(log: pa.Table, split: str = "test") -> float:
    """Harrell's c-index of the true expected lifetimes on a split: more cannot be expected of any model.

    Args:
        log: from `creatives_log`.
        split: train, valid or test. Defaults to `"test"`.
    """
    check_one_of("best_c", "split", split, SPLITS)
    rows = log.filter(pc.equal(log["split"], split))
    columns = (rows[name].to_numpy().astype(np.float64) for name in ("days", "stopped", "expected_days"))
    days, stopped, expected = columns
    return float(harrell_index(days, stopped, -expected))


def _hazards(quality: np.ndarray, fatigue: np.ndarray, pace: np.ndarray) -> np.ndarray:
    """Of each day from 1 to `HORIZON` after the third, `(n, HORIZON)`."""
    days = np.arange(1, HORIZON + 1)
    cut_out = 0.06 * np.exp(-1.2 * quality[:, np.newaxis] - days / 5.0)
    wear_out = 0.02 * np.exp(1.2 * fatigue)[:, np.newaxis] * pace[:, np.newaxis] * (days + HISTORY_DAYS) / 400_000.0
    return np.asarray(-np.expm1(-(cut_out + wear_out)))


def _unit(codes: np.ndarray) -> np.ndarray:
    return np.asarray(codes / np.sqrt((codes**2).mean(axis=1, keepdims=True)))


def _png_files(pictures: np.ndarray) -> list[bytes]:
    import tensorflow as tf  # a list of data sets needs none

    return [tf.io.encode_png(picture).numpy() for picture in pictures]


def _find(folder: Path) -> dict[str, bytes]:
    raise FileNotFoundError("it is drawn from a seed, not read. Leave --folder out")


def _known(rows: pa.Table) -> str:
    return f"Known hazards: no model can expect a Harrell c above {best_c(rows):.4f} on the test split."


ADS = Dataset(
    name="ads",
    summary="made-up ad creatives of known hazards: titles, banners, first days, lifetimes",
    fetch=dict,
    find=_find,
    to_rows=lambda files: creatives_log(),
    presets=("creative", "mmoe"),
    training={"batch_size": 64, "learning_rate": 2e-3, "ema_momentum": 0.98, "patience": 3, "id_dropout": 0.0},
    known=_known,
    ask=which_stop_soon,
)
