"""The made-up ads: what is known about them, and that nothing simple tells how long they run."""

import re

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfmtl.metrics.survival import harrell_index
from tfmtl.pipelines.datasets.creative_pictures import SHAPES, SIZE, draw_pictures
from tfmtl.pipelines.datasets.creative_titles import PAIRS, draw_titles
from tfmtl.pipelines.datasets.creatives import ADS, HORIZON, best_c, creatives_log
from tfmtl.pipelines.datasets.running_ads import which_stop_soon
from tfmtl.pipelines.runs.all_steps import presets_of


@pytest.fixture(scope="module")
def log() -> pa.Table:
    return creatives_log(3, number=3000)


def either_way(log: pa.Table, values: np.ndarray) -> float:
    days, stopped = (log[name].to_numpy().astype(np.float64) for name in ("days", "stopped"))
    found = harrell_index(days, stopped, values.astype(np.float64))
    return float(max(found, 1.0 - found))


def test_the_same_seed_gives_the_same_log() -> None:
    one, same, other = (creatives_log(seed, 40) for seed in (5, 5, 6))
    assert one.equals(same)
    assert not one.equals(other)
    assert ADS.problem.features[0].name in one.column_names
    needed = {column for feature in ADS.problem.features for column in feature.columns}
    needed |= {column for task in ADS.problem.tasks for column in task.label_columns}
    assert needed <= set(one.column_names)


def test_lifetimes_are_drawn_from_the_hazards(log: pa.Table) -> None:
    """True expected lifetimes are those of the lives: within the horizon, and among rows seen for all of it."""
    days, stopped = (log[name].to_numpy() for name in ("days", "stopped"))
    assert 0 < days.min() < 1
    assert days.max() <= HORIZON
    assert 0.5 < stopped.mean() < 0.95
    expected = log["expected_days"].to_numpy()
    low, high = expected < np.quantile(expected, 0.2), expected > np.quantile(expected, 0.8)
    ended = stopped == 1
    assert days[low & ended].mean() < 10 < days[high].mean()
    assert 0.72 < best_c(log) < 0.9
    # Of those that ended early nothing can have been cut off: their mean is that of the expectation.
    early = expected < 10
    assert days[early].mean() == pytest.approx(expected[early].mean(), rel=0.15)


def test_nothing_simple_reaches_half_of_the_way(log: pa.Table) -> None:
    half = 0.5 + (best_c(log) - 0.5) / 2.0
    pictures = np.stack([tf.io.decode_png(each).numpy() for each in log["banner"].to_pylist()]).astype(np.float64)
    simple = {"mean": pictures.mean(axis=(1, 2, 3)), "spread": pictures.std(axis=(1, 2, 3))}
    simple |= {f"mean of color {k}": pictures[..., k].mean(axis=(1, 2)) for k in range(3)}
    titles = [title.split() for title in log["title"].to_pylist()]
    simple |= {word: np.array([title.count(word) for title in titles]) for word in {w for t in titles for w in t}}
    assert {name for name, values in simple.items() if either_way(log, values) > 0.5 + (half - 0.5) / 4.0} == set()
    genres, days = np.array(log["genre"].to_pylist()), log["days"].to_numpy()
    by_genre = {genre: -days[genres == genre].mean() for genre in np.unique(genres)}
    assert either_way(log, np.array([by_genre[genre] for genre in genres])) < half


def test_a_title_has_both_words_of_its_pairs() -> None:
    titles = draw_titles(np.random.default_rng(0), 50)
    for text, signs in zip(titles.texts, titles.signs, strict=True):
        words = text.split()
        assert np.count_nonzero(signs) == 4
        for (first, second), sign in zip(PAIRS, signs, strict=True):
            assert (first in words) == (second in words) == (sign != 0)
            if sign:
                assert words.index(second) - words.index(first) == sign


def test_shapes_are_of_one_size_and_brightness() -> None:
    generator = np.random.default_rng(1)
    shapes = np.repeat(np.arange(len(SHAPES)), 400)
    pictures = draw_pictures(generator, shapes).astype(np.float64)
    assert pictures.shape == (1600, SIZE, SIZE, 3)
    means = pictures.mean(axis=(1, 2, 3)).reshape(len(SHAPES), 400)
    assert np.abs(means.mean(axis=1) - means.mean()).max() < 4.0 * means.std() / 20.0
    # Apart from the noise a picture has two colors, the shape's over about 90 pixels.
    ground = np.median(pictures, axis=(1, 2), keepdims=True)
    area = (np.abs(pictures - ground).mean(axis=3) > 36.0).sum(axis=(1, 2)).reshape(len(SHAPES), 400).mean(axis=1)
    assert area.max() / area.min() < 1.15


class Oracle:
    """Answers with the survival that a constant hazard of one half a day has."""

    def predict(self, rows: dict[str, object], signature_name: str) -> dict[str, np.ndarray]:
        assert signature_name == "survival_at_lifetime"
        assert len(rows["genre"]) == len(rows["age"])  # type: ignore[arg-type]
        return {"lifetime__survival": 0.5 ** np.asarray(rows["times"])}


def test_the_example_of_a_client_counts_what_stops(log: pa.Table) -> None:
    lines = which_stop_soon(log, Oracle())
    told = re.match(r"Of (\d+) running ads (\d+) are expected to stop within 7 days", lines[0])
    assert told is not None
    assert 100 < int(told[1]) <= 500
    assert int(told[2]) == round(int(told[1]) * (1.0 - 0.5**7))
    assert len(lines) == 5
    assert "1: 0.50, 7: 0.01" in lines[-1]


def test_the_run_says_what_is_known(log: pa.Table) -> None:
    assert presets_of("ads") == ("creative", "mmoe")
    assert presets_of("movielens_100k")[0] == "dtrn"
    assert ADS.known is not None
    assert f"above {best_c(log):.4f} on the test split" in ADS.known(log)
