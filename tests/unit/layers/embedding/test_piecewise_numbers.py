"""Piecewise linear vectors of numbers, against a NumPy reference of the paper's equation."""

from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.tiny_problem import tiny_inputs
from tests.unit.layers.embedding.test_feature_embedding import random_features
from tfmtl.core.spread_knots import spread_knots
from tfmtl.layers import FeatureEmbedding, PiecewiseNumbers

GENERATOR = np.random.default_rng(0)
ROWS = np.stack(
    [GENERATOR.normal(size=400), np.maximum(GENERATOR.normal(size=400), 0.0), np.full(400, 2.0)], axis=1
).astype("float32")  # smooth; half of it one value; a constant


BEYOND = np.finfo(np.float32).max


def adapted(num_bins: int = 5, dim: int = 4) -> PiecewiseNumbers:
    layer = PiecewiseNumbers(dim, num_bins)
    layer.build((None, 3))
    randomize_weights(layer)
    layer.adapt(ROWS)
    return layer


def reference(x: float, knots: np.ndarray) -> list[float]:
    """Equation 1 of the paper with clipped ends, bin by bin."""
    encoded = []
    for low, high in pairwise(knots):
        if low == high:
            encoded.append(0.0 if x < low else 0.5 if x == low else 1.0)
        else:
            encoded.append(0.0 if x < low else 1.0 if x >= high else (x - low) / (high - low))
    return encoded


def test_vectors_are_those_of_the_equation() -> None:
    layer = adapted()
    knots, kernel = layer.knots.numpy(), layer.kernel.numpy()
    asked = np.concatenate(
        [ROWS[:20], np.minimum(knots, 99.0).T, [[-100.0, -100.0, -100.0], [100.0, 100.0, 100.0]]]
    ).astype("float32")
    encoded = np.array([[reference(x, knots[n]) for n, x in enumerate(row)] for row in asked])
    np.testing.assert_allclose(layer(tf.constant(asked)), np.einsum("bnk,nkd->bnd", encoded, kernel), atol=1e-5)
    for n in range(3):
        np.testing.assert_allclose(layer.one(n, tf.constant(asked)[:, n : n + 1])[:, 0], layer(asked)[:, n], atol=1e-6)


def test_knots_are_quantiles_so_that_bins_hold_equally_many_rows() -> None:
    layer = adapted()
    counts, _ = np.histogram(ROWS[:, 0], layer.knots.numpy()[0])
    assert counts.min() >= 79
    assert counts.max() <= 81
    assert np.all(np.diff(layer.knots.numpy(), axis=1) >= 0.0)
    assert (layer.knots.numpy()[2] < BEYOND).tolist() == [True] + [False] * 5
    assert not layer.knots.trainable


def test_any_piecewise_linear_curve_can_be_said_and_close_numbers_are_alike() -> None:
    layer = adapted(dim=1)
    knots, heights = layer.knots.numpy()[0], np.array([0.0, 2.0, -1.0, 0.5, 0.5, 3.0])
    kernel = layer.kernel.numpy()
    kernel[0, :, 0] = np.diff(heights)
    layer.kernel.assign(kernel)
    x = np.linspace(knots[0], knots[-1], 200).astype("float32")
    rows = np.stack([x, np.zeros(200), np.zeros(200)], axis=1).astype("float32")
    np.testing.assert_allclose(layer(rows)[:, 0, 0], np.interp(x, knots, heights), atol=1e-5)


def test_a_value_that_most_rows_have_takes_one_knot_and_the_others_share_the_rest() -> None:
    seen = GENERATOR.exponential(size=300)
    knots = spread_knots(np.concatenate([np.full(2700, -1.0), seen]), 8)
    np.testing.assert_allclose(knots, [-1.0, *np.quantile(seen, np.linspace(0.0, 1.0, 8))], rtol=1e-6)


def test_frequent_values_are_found_again_once_others_are_taken_away() -> None:
    rows = np.concatenate([np.full(900, 0.0), np.full(60, 5.0), np.linspace(6.0, 7.0, 40)])
    np.testing.assert_allclose(spread_knots(rows, 4), [0.0, 5.0, 6.0, 6.5, 7.0], rtol=1e-6)


def test_no_two_knots_are_one_value_and_few_values_are_all_knots() -> None:
    for _ in range(200):
        column = np.round(GENERATOR.normal(scale=GENERATOR.choice([0.5, 4.0]), size=GENERATOR.integers(1, 300)), 1)
        column[GENERATOR.random(len(column)) < GENERATOR.random()] = -1.0
        num_bins, values = int(GENERATOR.integers(1, 20)), np.unique(column.astype("float32"))
        knots = spread_knots(column, num_bins)
        assert len(knots) == num_bins + 1
        real = knots[knots < BEYOND]
        assert (np.diff(real) > 0.0).all()
        assert values[0] <= real[0]
        assert real[-1] <= values[-1]
        if len(values) <= num_bins + 1:
            np.testing.assert_array_equal(real, values)


def test_where_all_values_are_knots_any_table_can_be_said_and_larger_values_are_as_the_largest() -> None:
    layer = PiecewiseNumbers(1, 6)
    layer.build((None, 1))
    layer.adapt(np.repeat([-1.0, 0.0, 0.5, 3.0], [50, 3, 20, 1])[:, np.newaxis])
    encoded = layer.encode(tf.constant([[-1.0], [0.0], [0.5], [3.0], [1e30]]), layer.knots).numpy()[:, 0]
    table = np.linalg.lstsq(encoded[1:4], [2.0, -1.0, 7.0], rcond=None)[0]
    np.testing.assert_allclose(encoded @ table, [0.0, 2.0, -1.0, 7.0, 7.0], atol=1e-5)


def test_without_bins_an_embedding_is_as_it_was_and_bins_only_add() -> None:
    inputs, features = tiny_inputs(), random_features(tiny_inputs())
    plain, pieced = FeatureEmbedding(inputs), FeatureEmbedding(inputs, number_bins=4)
    for layer in (plain, pieced):
        layer.build()
    assert plain.pieces is None
    assert pieced.pieces is not None
    randomize_weights(plain)
    for old, new in zip(plain.weights, [w for w in pieced.weights if "pieces" not in w.path], strict=True):
        new.assign(old)
    values = pieced.number_values(features)
    pieced.pieces.adapt(values.numpy())
    before, after = plain(features), pieced(features)
    added = np.array(after["fields"] - before["fields"])
    places = {each.key: pieced.field_names.index(each.field) for each in pieced.plan.numbers}
    wanted = np.zeros_like(added)
    for n, place in enumerate(places.values()):
        wanted[:, place] += pieced.pieces(values)[:, n]
    np.testing.assert_allclose(added, wanted, atol=1e-6)
    pieced.pieces.kernel.assign(tf.zeros_like(pieced.pieces.kernel))
    for name, value in before.items():
        np.testing.assert_array_equal(value, pieced(features)[name])


@pytest.mark.parametrize(("argument", "value"), [("num_bins", 0), ("dim", 0), ("dim", -1)])
def test_wrong_sizes_are_refused(argument: str, value: int) -> None:
    with pytest.raises(ValueError, match=argument):
        PiecewiseNumbers(**{"dim": 1, "num_bins": 1, argument: value})


@pytest.mark.parametrize("places", [[0, 1, 2], [1, 2], [0, 2]])  # all, some that lie together, some that do not
def test_some_are_what_all_have(places: list[int]) -> None:
    layer = adapted()
    values = tf.constant(ROWS[:50])
    wanted = layer(values).numpy()[:, places]
    given = tf.gather(values, places, axis=1)
    np.testing.assert_allclose(layer.some(given, places), wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(
        layer.encode_some(given, places), layer.encode(values, layer.knots).numpy()[:, places]
    )
    for column, place in enumerate(places):
        np.testing.assert_allclose(layer.one(place, given[:, column : column + 1])[:, 0], wanted[:, column], atol=1e-6)
