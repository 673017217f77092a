"""Facts of events: of ranges in columns, as records have them, and of padded windows, as requests have them."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_problem
from tfmtl.data.example_spec import (
    DERIVED_IDS,
    DERIVED_NUMBERS,
    are_packed,
    encoded_signature,
    packed_tensors,
    parse_encoded_examples,
)
from tfmtl.features.event_facts import LARGEST, EventFacts, PaddedEvents
from tfmtl.features.fixed_scales import count_twice, share_twice, signed_twice
from tfmtl.features.measures import Measure, encode_measures
from tfmtl.layers import FeatureEmbedding
from tfmtl.preprocessing.writing.event_ranges import EventRanges, SequenceColumns, first_not_below
from tfmtl.preprocessing.writing.sequences import Windows
from tfmtl.schema import HistoryFeature, MatchFeature, ModelInputs, Problem

TICKS = 1000


class Log:
    """Random windows: overlapping ones of rising times as of a log, or those of rows' own lists, in any order."""

    def __init__(self, seed: int, has_own_lists: bool, num_examples: int = 60) -> None:
        rng = np.random.default_rng(seed)
        lengths = rng.integers(0, 9, num_examples) * (rng.random(num_examples) < 0.8)
        if has_own_lists:
            stops = np.cumsum(lengths)
            starts = stops - lengths
            times = rng.integers(0, 10**9, stops[-1])
        else:  # every 20 examples are of one user, whose events rise in time
            first = np.repeat(np.arange(num_examples // 20) * 50, 20)
            stops = first + rng.integers(0, 51, num_examples)
            starts = np.maximum(first, stops - 12)
            times = np.sort(rng.integers(0, 10**9, (num_examples // 20, 50)), axis=1).ravel()
        self.windows = Windows(np.arange(len(times)), starts.astype(np.int64), stops.astype(np.int64))
        self.times = times
        self.now = np.full(num_examples, 10**9 + 1)
        self.prints = rng.integers(0, 6, len(times))
        self.own = rng.integers(0, 7, num_examples)
        self.numbers = rng.choice([np.nan, np.inf, 0.1, 0.2, -3.3, 1e30, -1e30, 7.0], len(times))

    def ranges(self) -> EventFacts:
        """As a worker computes the facts."""
        columns = SequenceColumns(self.windows, self.times, {"c": self.prints}, {"x": self.numbers})
        return EventRanges(columns, np.arange(len(self.now)), self.now, TICKS)

    def padded(self) -> EventFacts:
        """As a serving graph does."""
        lengths = self.windows.stops - self.windows.starts
        places = np.arange(lengths.max())
        present = places < lengths[:, np.newaxis]
        seen = np.minimum(self.windows.starts[:, np.newaxis] + places, len(self.times) - 1)
        prints = np.where(present, self.prints[seen], 0)
        numbers = np.where(present, self.numbers[seen], np.nan)
        ages = np.where(present, (self.now[:, np.newaxis] - self.times[seen]) // TICKS, 0)
        return PaddedEvents(
            tf.constant(present),
            tf.constant(ages, tf.int64),
            {"c": tf.constant(prints, tf.int64)},
            {"x": tf.constant(numbers, tf.float64)},
        )


FACTS: dict[str, Callable[[EventFacts, Log], Any]] = {
    "count": lambda facts, log: facts.count(),
    "newest": lambda facts, log: np.where(np.asarray(facts.count()) > 0, facts.newest(), LARGEST),
    "oldest": lambda facts, log: np.where(np.asarray(facts.count()) > 0, facts.oldest(), LARGEST),
    "hour": lambda facts, log: facts.within([3_600, 1])[0],
    "week": lambda facts, log: facts.within([3_600, 604_800])[1],
    "matches": lambda facts, log: facts.matches("c", log.own)[0],
    "newest match": lambda facts, log: np.where(
        np.asarray(facts.matches("c", log.own)[0]) > 0, facts.matches("c", log.own)[1], LARGEST
    ),
    **{
        name: lambda facts, log, name=name: facts.statistics("x")[name]  # type: ignore[misc]
        for name in ("mean", "sum", "least", "most")
    },
}


@pytest.mark.parametrize("has_own_lists", [False, True])
def test_ranges_and_padded_windows_give_the_same_bits(has_own_lists: bool) -> None:
    for seed in range(5):
        log = Log(seed, has_own_lists)
        for name, fact in FACTS.items():
            ranges, padded = np.asarray(fact(log.ranges(), log)), np.asarray(fact(log.padded(), log))
            assert ranges.dtype == padded.dtype, name
            assert ranges.tobytes() == padded.tobytes(), (name, seed)


def test_a_wrong_order_of_times_is_found() -> None:
    """Events that are taken to rise in time where they do not give other facts: the comparison sees it."""
    log = Log(0, True)
    columns = SequenceColumns(log.windows, log.times, {"c": log.prints}, {"x": log.numbers})
    columns.times = log.times
    wrong = EventRanges(columns, np.arange(len(log.now)), log.now, TICKS)
    assert not np.array_equal(FACTS["week"](wrong, log), FACTS["week"](log.padded(), log))


@pytest.mark.parametrize("has_times", [True, False])
@pytest.mark.parametrize("events", [0, 1, 30])
def test_matches_of_many_candidates_are_found_as_those_of_one(events: int, has_times: bool) -> None:
    rng = np.random.default_rng(events)
    values = rng.integers(0, 9, (1, events)) * 2**40
    ages = tf.constant(rng.integers(0, 100, (1, events))) if has_times else None
    own = rng.integers(0, 11, 40) * 2**40

    def matches(rows: int) -> tuple[Any, Any]:
        columns = {"c": tf.repeat(tf.constant(values), rows, axis=0)}
        ages_of_rows = None if ages is None else tf.repeat(ages, rows, axis=0)
        return PaddedEvents(tf.ones((rows, events), tf.bool), ages_of_rows, columns, {}).matches("c", tf.constant(own))

    (once, newest), (by_row, newest_by_row) = matches(1), matches(40)
    np.testing.assert_array_equal(once, by_row)
    assert once.dtype == by_row.dtype == tf.int64
    np.testing.assert_array_equal(once, [np.sum((values == each) & (each != 0)) for each in own])
    if has_times:
        np.testing.assert_array_equal(newest.numpy()[once > 0], newest_by_row.numpy()[once > 0])
        assert events < 2 or np.ptp(newest.numpy()[once > 0]) > 0
    else:
        assert newest is None


def test_events_without_times_and_no_events() -> None:
    log = Log(0, True)
    facts = EventRanges(SequenceColumns(log.windows, None, {"c": log.prints}, {}), np.arange(60), None, 1)
    count, newest = facts.matches("c", log.own)
    assert newest is None
    np.testing.assert_array_equal(count, log.padded().matches("c", log.own)[0])
    empty, nobody = np.empty(0, np.int64), np.zeros(3, np.int64)
    columns = SequenceColumns(Windows(empty, nobody, nobody), empty, {"c": empty}, {"x": np.empty(0)})
    facts = EventRanges(columns, np.arange(3), nobody, 1)
    for found in (facts.count(), facts.within([9])[0], facts.matches("c", nobody + 1)[0]):
        assert found.tolist() == [0, 0, 0]
    assert np.isnan(facts.statistics("x")["mean"]).all()


def test_bisection_is_that_of_every_range() -> None:
    rng = np.random.default_rng(0)
    values = np.sort(rng.integers(0, 20, (8, 9)), axis=1)
    starts = np.arange(8) * 9 + rng.integers(0, 9, 8)
    stops, least = np.arange(1, 9) * 9, rng.integers(-1, 22, 8)
    wanted = [a + np.searchsorted(values.ravel()[a:b], x) for a, b, x in zip(starts, stops, least, strict=True)]
    np.testing.assert_array_equal(first_not_below(values.ravel(), starts, stops, least), wanted)


def test_numbers_encoded_together_are_those_encoded_alone() -> None:
    rng = np.random.default_rng(0)
    counts = [rng.integers(0, 10 ** rng.integers(1, 12), 50) for _ in range(3)]
    none = rng.random(50) < 0.2
    signed = np.where(none, np.nan, rng.normal(size=50))
    measures = {f"c{k}": Measure("count", each, none) for k, each in enumerate(counts)}
    measures |= {"s": Measure("share", counts[0] % 7, counts[1] % 9), "x": Measure("signed", signed)}
    measures["one"] = Measure("count", counts[0][:1], none[:1])  # of one user beside many candidates
    alone: dict[str, Any] = {}
    for k, each in enumerate(counts):
        alone |= count_twice(f"c{k}", tf.constant(each), tf.constant(none))
    alone |= share_twice("s", tf.constant(counts[0] % 7), tf.constant(counts[1] % 9))
    alone |= signed_twice("x", tf.constant(signed)) | count_twice("one", tf.constant(counts[0][:1]), none[:1])
    together = encode_measures(measures)
    assert set(together) == set(alone)
    for key, values in alone.items():
        assert together[key].numpy().tobytes() == values.numpy().tobytes(), key


# === Records ===


def _problem(is_summed: bool = False) -> Problem:
    base = tiny_problem()
    derived = HistoryFeature("seen", summed=is_summed), MatchFeature("seen", ("topic",), summed=is_summed)
    return tiny_problem(features=(*base.features, *derived))


def _record(features: dict[str, list[float] | list[int]]) -> bytes:
    made = tf.train.Example()
    for key, values in features.items():
        feature = made.features.feature[key]
        (feature.int64_list if isinstance(values[0], int) else feature.float_list).value.extend(values)
    return made.SerializeToString()


def test_records_of_both_layouts_are_read_alike() -> None:
    problem = _problem()
    packed = packed_tensors(problem)
    ids = {key: [2 + place] for place, key in enumerate(packed[DERIVED_IDS])}
    numbers = {key: [0.25 * place] for place, key in enumerate(packed[DERIVED_NUMBERS])}
    derived = {*ids, *numbers}
    rest: dict[str, list[Any]] = {
        each.key: [1] * int(np.prod(each.inner)) if each.holds_ids else [1.0] * int(np.prod(each.inner))
        for each in problem.tensors
        if each.key not in derived
    }
    together = {DERIVED_IDS: list(chain(*ids.values())), DERIVED_NUMBERS: list(chain(*numbers.values()))}
    old, new = _record({**rest, **ids, **numbers}), _record({**rest, **together})
    assert [are_packed([old]), are_packed([new]), are_packed([])] == [False, True, True]
    found = [parse_encoded_examples(problem, tf.constant([each]), are_packed([each]))[0] for each in (old, new)]
    for key in encoded_signature(problem):
        np.testing.assert_array_equal(found[0][key], found[1][key], err_msg=key)
    assert found[1]["seen_oldest__x"].numpy().tolist() == numbers["seen_oldest__x"]


# === One field for all numbers of a record ===


def _inputs(problem: Problem) -> ModelInputs:
    rows = dict.fromkeys(problem.tables, 30)
    rows |= {each.table: each.rows for each in problem.tensors if each.table and each.rows}
    return ModelInputs(
        problem,
        rows,
        {task.name: 0.5 for task in problem.tasks},
        {task.name: 0.5 for task in problem.tasks},
    )


def _features(problem: Problem, rows: int, one: tuple[str, ...] = ()) -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(0)
    found = {}
    for key, spec in encoded_signature(problem).items():
        shape = (1 if key in one else rows, *spec.shape[1:])
        values = rng.integers(0, 5, shape) if spec.dtype == tf.int32 else rng.normal(size=shape)
        found[key] = tf.constant(values, spec.dtype)
    return found


def test_a_summed_field_is_the_sum_of_the_fields() -> None:
    problem = _problem(is_summed=True)
    summed, single = FeatureEmbedding(_inputs(problem)), FeatureEmbedding(_inputs(_problem()))
    for layer in (summed, single):
        layer.build()
    assert [weight.shape for weight in summed.weights] == [weight.shape for weight in single.weights]
    kernel_places = [[each.key for each in layer.plan.numbers] for layer in (single, summed)]
    order = [kernel_places[0].index(key) for key in kernel_places[1]]
    rng = np.random.default_rng(1)
    for own, other in zip(single.weights, summed.weights, strict=True):
        values = rng.normal(size=own.shape)
        own.assign(values)
        other.assign(values[order] if own.name.startswith("number") else values)
    features = _features(problem, 4)
    apart, together = single(features)["fields"].numpy(), summed(features)["fields"].numpy()
    for name in ("seen", "seen_match"):
        parts = [k for k, field in enumerate(single.field_names) if field in _fields(problem, name)]
        place = summed.field_names.index(f"{name}_numbers")
        np.testing.assert_allclose(together[:, place], apart[:, parts].sum(axis=1), rtol=1e-5, atol=1e-5)
    for name in set(single.field_names) & set(summed.field_names):
        places = single.field_names.index(name), summed.field_names.index(name)
        np.testing.assert_array_equal(apart[:, places[0]], together[:, places[1]], err_msg=name)
    assert not set(_fields(problem, "seen")) & set(summed.plan.lone_ids)


def test_a_summed_field_of_user_and_candidates() -> None:
    """Parts with one row for all candidates are added to those of each."""
    base = tiny_problem()
    problem = tiny_problem(features=(*base.features, MatchFeature("seen", ("topic", "price"), summed=True)))
    layer = FeatureEmbedding(_inputs(problem))
    layer.build()
    of_user = tuple(key for key in encoded_signature(problem) if "price_" in key)
    once = _features(problem, 5, of_user)
    repeated = {key: tf.repeat(each, 5, axis=0) if key in of_user else each for key, each in once.items()}
    np.testing.assert_allclose(layer(once)["fields"], layer(repeated)["fields"], rtol=1e-5, atol=1e-6)


def _fields(problem: Problem, name: str) -> list[str]:
    [feature] = [each for each in problem.features if each.name == name]
    return [each.field for each in replace(feature).tensors(problem)]
