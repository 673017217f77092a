"""Derived numbers that enter once: as numbers alone, with a value of their own for "none yet"."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_problem
from tfmtl.data.example_spec import candidate_features, raw_signature
from tfmtl.data.raw_view import raw_view
from tfmtl.export.raw_batch import to_rank_tensors, to_tensors
from tfmtl.features import behavior_of
from tfmtl.features.array_scales import ArrayScales
from tfmtl.features.behaviors import derive_together
from tfmtl.features.fixed_scales import count_once, count_twice, odds_once, odds_twice, share_once, share_twice
from tfmtl.features.measures import Measure, encode_measures
from tfmtl.layers.embedding.embedding_plan import EmbeddingPlan
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding
from tfmtl.preprocessing.writing.event_ranges import SequenceColumns, first_not_below
from tfmtl.preprocessing.writing.sequences import Windows
from tfmtl.schema import (
    CategoricalFeature,
    HistoryFeature,
    MatchFeature,
    ModelInputs,
    Problem,
    ProblemError,
    RateFeature,
    SequenceFeature,
)
from tfmtl.schema.features.fixed_scales import NONE


def _problem(enters: str, **changes: Any) -> Problem:
    derived = (
        HistoryFeature("seen", mean=("price",), share_of="clicked", enters=enters),
        MatchFeature("seen", ("topic", "price"), enters=enters),
        HistoryFeature("clicked", enters=enters),
        MatchFeature("clicked", ("item", "topic"), enters=enters),
        HistoryFeature("bought", enters=enters),
        MatchFeature("bought", ("item",), enters=enters),
    )
    return tiny_problem(features=(*tiny_problem().features, *derived), **changes)


# === Scales ===


def test_the_number_is_that_of_twice_and_none_is_below_all() -> None:
    rng = np.random.default_rng(0)
    none = tf.constant(rng.random(60) < 0.3)
    counts = tf.constant(rng.integers(-3, 10 ** rng.integers(0, 12, 60)))
    part, whole = tf.constant(rng.integers(0, 9, 60)), tf.constant(rng.integers(0, 9, 60))
    rates = tf.constant(rng.random(60))
    found = {
        "count": (count_once("f", counts, none), count_twice("f", counts, none), none),
        "share": (share_once("f", part, whole), share_twice("f", part, whole), whole == 0),
        "odds": (
            odds_once("f", rates, np.array([0.2]), none),
            {key: values[0] for key, values in odds_twice("f", rates[None], np.array([[0.2]]), none[None]).items()},
            none,
        ),
    }
    for scale, (once, twice, is_none) in found.items():
        assert list(once) == ["f__x"]
        numbers, nothing = once["f__x"].numpy(), is_none.numpy()
        assert nothing.any() and not nothing.all()
        np.testing.assert_array_equal(numbers[~nothing], twice["f__x"].numpy()[~nothing], err_msg=scale)
        assert (numbers[nothing] == np.float32(NONE[scale])).all()
        assert numbers[nothing].max() < numbers[~nothing].min()
    never = tf.constant([False, False])
    extreme = odds_once("f", tf.constant([0.0, 1.0], tf.float64), np.array([1e-6]), never)["f__x"].numpy()
    assert extreme.min() > NONE["odds"] and extreme.max() <= 4.0


def test_arrays_of_a_worker_give_the_same_bits_as_tensors() -> None:
    rng = np.random.default_rng(1)
    none, nowhere = rng.random(500) < 0.4, np.zeros(500, bool)
    arrays = {
        "a": Measure("count", rng.integers(-2, 10**9, 500), none, "once"),
        "b": Measure("count", rng.integers(0, 3, 500), none, "once"),
        "c": Measure("count", rng.integers(0, 2, 500), nowhere, "once"),
        "d": Measure("count", rng.integers(0, 2, 500), ~nowhere, "once"),
        "small": Measure("count", np.arange(500) * 9, none, "once"),
        "s": Measure("share", rng.integers(0, 9, 500), rng.integers(0, 9, 500), "once"),
        "o": Measure("odds", rng.random(500), none, "once", mean=0.3),
        "p": Measure("odds", np.linspace(0.0, 1.0, 500), nowhere, "once", mean=0.0),
        "t": Measure("odds", rng.random(500), none, "twice", mean=0.3),
    }
    tensors = {
        name: replace(each, values=tf.constant(each.values), other=tf.constant(each.other))
        for name, each in arrays.items()
    }
    of_arrays, of_tensors = encode_measures(arrays), encode_measures(tensors)
    assert set(of_arrays) == set(of_tensors)
    for key, values in of_tensors.items():
        assert np.asarray(of_arrays[key]).tobytes() == values.numpy().tobytes(), key


# === One user's events end to end ===


def _request(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Histories of any length and order, some events without their first column, some times of the future."""
    request: dict[str, Any] = {each.key: each.missing for each in problem.inputs}
    request |= {"time": 10**6}
    for sequence in problem.sequences:
        length = int(rng.integers(0, 60)) * int(rng.random() < 0.8)
        request[sequence.time_key] = (10**6 - rng.integers(-50, 900_000, length)).tolist()
        for column in sequence.columns:
            names = [*"uvw", ""]
            values = rng.choice([1.5, 2.5, float("nan")], length) if column == "price" else rng.choice(names, length)
            request[sequence.column_key(column)] = values.tolist()
    return request


@pytest.mark.parametrize("enters", ["once", "twice"])
def test_a_ranking_has_the_numbers_of_single_requests(enters: str) -> None:
    problem = _problem(enters)
    derived = [feature for feature in problem.features if not feature.inputs()]
    behaviors = [behavior_of(feature, problem) for feature in derived]
    of_item = candidate_features(problem)
    specs = {
        key: tf.TensorSpec((None if key in of_item else 1, *spec.shape[1:]), spec.dtype)
        for key, spec in raw_signature(problem).items()
    }
    rng = np.random.default_rng(0)
    for _ in range(6):
        user = _request(problem, rng)
        items = [{**user, "topic": t, "item": t, "price": p} for t in ("u", "v", "", "x") for p in (1.5, float("nan"))]
        ranked, single = (
            derive_together(behaviors, raw_view(problem, raw, derived, needs_windows=False))
            for raw in (to_rank_tensors(user, items, specs), to_tensors(items, raw_signature(problem)))
        )
        assert set(ranked) == set(single)
        for key, values in single.items():
            assert ranked[key].shape[0] == (len(items) if "match" in key else 1), key
            found = np.broadcast_to(ranked[key], (len(items),))
            np.testing.assert_array_equal(found, values, err_msg=key)


def test_sequences_without_times_stand_beside() -> None:
    sequences = (SequenceFeature("seen", ("topic",), source="row", lists=("seen_topics",), time_gap_buckets=0),)
    base = tiny_problem()
    derived = (HistoryFeature("seen", enters="once"), MatchFeature("seen", ("topic",), enters="once"))
    problem = tiny_problem(features=(*base.features, *derived), sequences=(*sequences, base.sequences[0]))
    user = {each.key: each.missing for each in problem.inputs} | {"seen__topic": ["t", "", "t", "u"], "topic": "t"}
    view = raw_view(problem, to_tensors([user], raw_signature(problem)), derived, needs_windows=False)
    found = derive_together([behavior_of(each, problem) for each in derived], view)
    assert round(float(np.expm1(8 * found["seen_match_topic_count__x"].numpy()[0]))) == 2
    assert set(found) == {each.key for feature in derived for each in feature.tensors(problem)}


# === A worker's search in all windows at once ===


@pytest.mark.parametrize("unit", [1, 2**58])
def test_one_search_finds_what_bisection_of_every_window_does(unit: int) -> None:
    """Times so far apart that runs have no numbers of 64 bits are searched window by window."""
    rng = np.random.default_rng(2)
    times = np.sort(rng.integers(-8, 8, (40, 9)), axis=1).ravel() * unit
    starts = np.repeat(np.arange(40) * 9, 5) + rng.integers(0, 9, 200)
    stops = starts + 1 + rng.integers(0, 9, 200) % (9 - starts % 9)
    least = rng.integers(-9, 9, 200) * unit + rng.integers(-1, 2, 200)
    columns = SequenceColumns(Windows(np.arange(len(times)), starts, stops), times, {}, {})
    assert (columns._keys is None) == (unit > 1)
    for bound, found in zip(
        (least, least + 1), columns.first_not_below(starts, stops, (least, least + 1)), strict=True
    ):
        np.testing.assert_array_equal(found, first_not_below(times, starts, stops, bound))


# === The network ===


def test_all_matches_share_a_field_and_a_candidate_s_numbers_come_last() -> None:
    problem = _problem("once")
    inputs = ModelInputs(problem, dict.fromkeys(problem.tables, 90), {}, {})
    plan = EmbeddingPlan(inputs, 8)
    assert [name for name in plan.field_names if name.endswith("_numbers")] == [
        "seen_numbers", "clicked_numbers", "bought_numbers", "match_numbers",
    ]  # fmt: skip
    sides = [each.side for each in plan.numbers if each.missing < 0]
    assert sides == sorted(sides, reverse=True)  # user before item
    signed = [each for each in problem.tensors if "price" in each.key and "seen_mean" in each.key]
    assert [each.role for each in signed] == ["id", "number"]


def test_fields_have_the_order_of_their_names_whatever_they_are_made_of() -> None:
    """A ranking multiplies by these names what holds for all candidates."""
    problem = _problem("once")
    problem = replace(problem, features=(*problem.features, RateFeature("item", "click", enters="once")))
    inputs = ModelInputs(problem, dict.fromkeys(problem.tables, 50), {task.name: 0.5 for task in problem.tasks}, {})
    layer = FeatureEmbedding(inputs)
    features = {}
    for each in problem.tensors:
        ones = np.ones((1, *(size or 3 for size in each.inner)))
        features[each.key] = tf.constant(ones, tf.int32 if each.holds_ids else tf.float32)
    before = layer(features)["fields"].numpy()
    for each in layer.plan.numbers:
        moved = {**features, each.key: features[each.key] + 1.0}
        differs = np.abs(layer(moved)["fields"].numpy() - before).max(axis=(0, 2)) > 0.0
        assert [name for name, does in zip(layer.field_names, differs, strict=True) if does] == [
            each.joins or each.field
        ]


def test_a_field_of_another_feature_is_no_field_to_join() -> None:
    for name in ("seen_numbers", "match_numbers"):
        features = (*_problem("once").features, CategoricalFeature(name))
        with pytest.raises(ProblemError, match=f"field name '{name}' is used twice"):
            tiny_problem(features=features)


def test_how_numbers_enter_is_one_of_two() -> None:
    for make in (
        lambda: HistoryFeature("seen", enters="thrice"),
        lambda: MatchFeature("seen", ("topic",), enters="thrice"),
        lambda: RateFeature("item", "click", enters="thrice"),
    ):
        with pytest.raises(ProblemError, match="`enters` must be one of"):
            make()


def test_what_there_is_not_is_read_back_as_missing() -> None:
    problem = tiny_problem(features=(*tiny_problem().features, HistoryFeature("seen", enters="once")))
    behavior = behavior_of(problem.features[-1], problem)
    counts = {"count": [0.0, 3.0], "newest": [0.0, 7.0], "oldest": [0.0, 9.0]}
    counts |= {f"last_{window}": [0.0, 1.0] for window in ("hour", "day", "week")}
    none = np.array([True, False])
    encoded = {
        f"seen_{part}__x": np.where(none, NONE["count"], np.log1p(values) / 8.0).astype("float32")
        for part, values in counts.items()
    }
    found = behavior.decode(encoded, None)
    assert found["seen_newest"].values.to_pylist() == [None, 7.0]
    assert found["seen_count"].values.to_pylist() == [0.0, 3.0]


def test_odds_of_the_mean_have_the_same_bytes_in_every_row() -> None:
    rates = np.full(9, 0.3)
    for rows in range(1, 10):
        numbers = ArrayScales().odds(rates[:rows], np.zeros(rows, bool), 0.3)
        assert not np.signbit(numbers).any()
        assert not numbers.any()
