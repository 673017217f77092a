"""Derived features against what their words say, computed event by event in plain Python."""

import datetime
import math
import zoneinfo
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_problem
from tfmtl.data.example_spec import candidate_features, raw_signature
from tfmtl.data.raw_view import raw_view
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.export.raw_batch import to_rank_tensors, to_tensors
from tfmtl.features import behavior_of
from tfmtl.features.feature_behavior import FittedState
from tfmtl.features.fixed_scales import count_twice, share_twice, signed_twice
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    FeatureRecord,
    HistoryFeature,
    MatchFeature,
    Problem,
    ProblemError,
    SequenceFeature,
    TimePartFeature,
)

DAY = 86_400
NOW = 40 * DAY


def _problem(*derived: FeatureRecord, **changes: Any) -> Problem:
    base = tiny_problem()
    return tiny_problem(features=(*base.features, *derived), **changes)


def _derive(problem: Problem, requests: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What the last feature of the problem derives from the requests, of which the rest is missing."""
    feature = problem.features[-1]
    inputs = {each.key: each for each in problem.inputs}
    whole = [{key: request.get(key, each.missing) for key, each in inputs.items()} for request in requests]
    view = raw_view(problem, to_tensors(whole, raw_signature(problem)), [feature])
    return {key: values.numpy() for key, values in behavior_of(feature, problem).derive(view).items()}


def _number(values: np.ndarray, row: int = 0) -> float:
    """The whole number that a derived one was made of."""
    return round(math.expm1(8.0 * float(values[row])))


# === History ===


def _seen(ages: Sequence[int], topics: Sequence[str] | None = None, prices: Sequence[float] | None = None) -> dict:
    order = sorted(range(len(ages)), key=lambda n: -ages[n])
    return {
        "time": NOW,
        "seen__time": [NOW - ages[n] for n in order],
        "seen__topic": [(topics or ["t"] * len(ages))[n] for n in order],
        "seen__price": [(prices or [1.0] * len(ages))[n] for n in order],
    }


def test_history_counts_events_and_seconds() -> None:
    found = _derive(_problem(HistoryFeature("seen")), [_seen([5, 3_600, 3_601, DAY, 6 * DAY, 8 * DAY])])
    wanted = {"count": 6, "newest": 5, "oldest": 8 * DAY, "last_hour": 2, "last_day": 4, "last_week": 5}
    assert {part: _number(found[f"seen_{part}__x"]) for part in wanted} == wanted
    assert all(found[f"seen_{part}__id"][0] >= 2 for part in wanted)


def test_a_request_without_history_says_none_yet() -> None:
    found = _derive(_problem(HistoryFeature("seen", mean=("price",), share_of="clicked")), [_seen([]), _seen([9])])
    for key, values in found.items():
        assert values[0] == 0, key
        assert key.startswith("seen_share") or key.endswith("_x") or values[1] >= 2, key


def test_an_event_without_its_first_column_is_none() -> None:
    found = _derive(_problem(HistoryFeature("seen")), [_seen([5, 7, 9], ["", "t", ""])])
    assert _number(found["seen_count__x"]) == 1
    assert _number(found["seen_newest__x"]) == 7


def test_count_length_bounds_what_is_seen() -> None:
    sequence = SequenceFeature("seen", ("topic", "price"), max_length=3, count_length=4)
    problem = _problem(HistoryFeature("seen"), sequences=(sequence,))
    found = _derive(problem, [_seen([1, 2, 3, 4, 5, 6])])
    assert _number(found["seen_count__x"]) == 4
    assert _number(found["seen_oldest__x"]) == 4
    assert sequence.longest_window(problem) == 4
    assert tiny_problem().sequences[1].longest_window(tiny_problem()) == 3


def test_means_and_extremes_of_a_number() -> None:
    prices = [2.5, float("nan"), -4.0, 1.0]
    found = _derive(_problem(HistoryFeature("seen", mean=("price",))), [_seen([4, 3, 2, 1], prices=prices)])
    known = [price for price in prices if not math.isnan(price)]
    wanted = {"mean": sum(known) / 3, "sum": sum(known), "least": -4.0, "most": 2.5}
    for statistic, value in wanted.items():
        number = math.copysign(math.log1p(abs(value)) / 8.0, value)
        assert found[f"seen_{statistic}_price__x"][0] == pytest.approx(number, rel=1e-6)


def test_share_of_another_history() -> None:
    request = {**_seen([1, 2, 3, 4]), "clicked__item": ["a"], "clicked__topic": ["t"], "clicked__time": [NOW - 1]}
    found = _derive(_problem(HistoryFeature("clicked", share_of="seen")), [request])
    assert found["clicked_share__x"][0] == 0.25
    assert found["clicked_share__id"][0] == 2 + 5


# === Match ===


def test_match_counts_events_with_the_own_value() -> None:
    problem = _problem(MatchFeature("seen", ("topic", "price")))
    topics, prices = ["t", "u", "t", "v"], [1.5, 2.0, 2.0, float("nan")]
    own = [{"topic": "t", "price": 2.0}, {"topic": "w", "price": float("nan")}, {"topic": "", "price": -0.0}]
    found = _derive(problem, [{**_seen([9, 7, 5, 3], topics, prices), **each} for each in own])
    assert [_number(found["seen_match_topic_count__x"], row) for row in range(3)] == [2, 0, 0]
    assert found["seen_match_topic_count__id"].tolist() == [2 + 2, 2, 2]
    assert found["seen_match_topic_share__x"].tolist() == [0.5, 0.0, 0.0]
    assert _number(found["seen_match_topic_newest__x"]) == 5
    assert found["seen_match_topic_newest__id"].tolist()[1:] == [0, 0]
    assert [_number(found["seen_match_price_count__x"], row) for row in range(3)] == [2, 0, 0]


def test_rare_values_are_told_apart() -> None:
    """Ids would not do: values out of the vocabulary share one."""
    topics = [f"rare {n}" for n in range(50)]
    found = _derive(_problem(MatchFeature("seen", ("topic",))), [{**_seen(range(1, 51), topics), "topic": "rare 7"}])
    assert _number(found["seen_match_topic_count__x"]) == 1


def test_match_is_per_candidate_and_history_once() -> None:
    derived = (HistoryFeature("seen"), MatchFeature("seen", ("topic",)))
    problem = _problem(*derived)
    inputs = {each.key: each for each in problem.inputs}
    user = {**{key: each.missing for key, each in inputs.items()}, **_seen([9, 7, 5], ["t", "u", "t"])}
    items = [{**user, "topic": topic} for topic in "tuv"]
    of_item = candidate_features(problem)
    specs = {key: tf.TensorSpec((None if key in of_item else 1, *spec.shape[1:]), spec.dtype) for key, spec in
             raw_signature(problem).items()}  # fmt: skip
    ranked, single = (
        {
            key: values.numpy()
            for feature in derived
            for key, values in behavior_of(feature, problem).derive(raw_view(problem, raw, derived)).items()
        }
        for raw in (to_rank_tensors(user, items, specs), to_tensors(items, raw_signature(problem)))
    )
    for key, values in single.items():
        assert len(ranked[key]) == (3 if "match" in key else 1)
        np.testing.assert_array_equal(np.broadcast_to(ranked[key], (3,)), values, err_msg=key)


# === Time ===


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"])
def test_time_parts_are_those_of_the_calendar(zone: str) -> None:
    problem = _problem(TimePartFeature(("hour", "weekday", "day_of_month", "is_weekend"), zone))
    behavior = behavior_of(problem.features[-1], problem)
    statistics = TransformStatistics({}, {}, {}, {}, {}, {}, {}, states=behavior.fit({}).states)
    behavior.load(FittedState(statistics, lambda table: None))  # type: ignore[arg-type,return-value]
    seconds = np.random.default_rng(0).integers(0, 3_500_000_000, 3_000)
    inputs = {each.key: each.missing for each in problem.inputs}
    raw = to_tensors([{**inputs, "time": int(second)} for second in seconds], raw_signature(problem))
    found = behavior.derive(raw_view(problem, raw, [problem.features[-1]]))
    local = [datetime.datetime.fromtimestamp(int(second), zoneinfo.ZoneInfo(zone)) for second in seconds]
    assert (found["time_hour"].numpy() - 2).tolist() == [each.hour for each in local]
    assert (found["time_weekday"].numpy() - 2).tolist() == [each.weekday() for each in local]
    assert (found["time_day_of_month"].numpy() - 1).tolist() == [each.day for each in local]
    assert (found["time_is_weekend"].numpy() - 2).tolist() == [int(each.weekday() >= 5) for each in local]


# === Scales ===


def test_ids_stay_inside_their_tables_and_rise() -> None:
    problem = _problem(HistoryFeature("seen", mean=("price",), share_of="seen"))
    rows = {each.field: each.rows for each in problem.features[-1].tensors(problem) if each.table}
    counts = tf.constant([0, 1, 2, 3, 4, 2**31, 2**62], tf.int64)
    ids = count_twice("f", counts, tf.zeros(7, tf.bool))["f__id"].numpy()
    assert ids[0] == 2
    assert (np.diff(ids[:5]) == 1).all()
    assert ids[-1] == rows["seen_count"] - 1
    shares = share_twice("f", tf.constant([0, 1, 19, 20, 21], tf.int64), tf.constant([20], tf.int64))["f__id"].numpy()
    assert shares.tolist() == [2, 3, 21, 22, 22]
    assert shares[-1] == rows["seen_share"] - 1
    values = tf.constant([-1e30, -3.0, -1e-9, 0.0, 1e-9, 3.0, 1e30], tf.float64)
    ids = signed_twice("f", values)["f__id"].numpy()
    assert ids[0] == 2
    assert ids[-1] == rows["seen_mean_price"] - 1
    assert (np.diff(ids) >= 0).all()
    assert ids[1] < ids[2] < ids[3] == ids[4] < ids[5]


# === Errors ===


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        (HistoryFeature("sean"), "names 'sean' in `of`, which is not a sequence. Known sequences: ['clicked', 'seen', "
         "'bought']. Did you mean 'seen'?"),
        (HistoryFeature("seen", share_of="x"), "names 'x' in `share_of`, which is not a sequence."),
        (HistoryFeature("seen", mean=("topic",)), "the mean of 'topic', which is not a numeric column of sequence "
         "'seen'. It has: ['price']."),
        (MatchFeature("seen", ("item",)), "compares 'item', which must be a column of sequence 'seen' and a feature of "
         "the example with one value. There are: ['topic', 'price']."),
        (HistoryFeature("seen", name="user"), "feature name 'user' is used twice"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(feature: FeatureRecord, text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        _problem(feature)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"kind": "time_part", "part": ["hour"], "time_zone": "Europe/Berlyn"},
         "`time_zone` must be a name of the IANA time zone database. Received: time_zone='Europe/Berlyn'."),
        ({"kind": "time_part", "part": ["houer"]}, "`part` must be one of"),
        ({"kind": "match", "of": "seen", "on": []}, "`on` must name columns, each once."),
        ({"kind": "history", "of": "a b"}, "`name` must be letters"),
    ],
)  # fmt: skip
def test_the_reader_says_it_in_one_line(item: dict[str, Any], text: str) -> None:
    mapping = tiny_problem().to_dict()
    mapping["features"].append(item)
    with pytest.raises(ProblemError) as caught:
        Problem.from_dict(mapping)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_names_of_one_tensor_are_refused() -> None:
    base = tiny_problem()
    hidden = SequenceFeature("seen_count", ("id",), time_gap_buckets=0)
    with pytest.raises(ProblemError, match="'seen_count__id' is used twice"):
        tiny_problem(
            features=(*base.features, CategoricalFeature("id"), HistoryFeature("seen")),
            sequences=(*base.sequences, hidden),
        )


def test_derived_features_are_written_out(tmp_path: Path) -> None:
    problem = _problem(HistoryFeature("seen"), MatchFeature("seen", ("topic",)), TimePartFeature(("hour",)))
    problem.save(tmp_path / "problem.yaml")
    again = Problem.load(tmp_path / "problem.yaml")
    assert again == problem
    assert again.fingerprint == problem.fingerprint
    assert [each["name"] for each in problem.to_dict()["features"][-3:]] == ["seen", "seen_match", "time"]
    assert tiny_problem(keys=problem.keys, tasks=(BinaryTask("click"),)).differing_parts(problem) != []
