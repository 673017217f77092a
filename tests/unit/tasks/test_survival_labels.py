"""Labels of survival tasks: read, rejected, cut at what was known, and what is fitted to them."""

import math

import numpy as np
import pyarrow as pa
import pytest

from tests.support.survival_problem import CUTS, survival_problem
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.settled_labels import settle
from tfmtl.preprocessing.reading.canonical import canonicalize
from tfmtl.schema import Keys, Problem, ProblemError, Split, SurvivalTask
from tfmtl.tasks import behavior_of

NAN = math.nan


def task(**changes) -> SurvivalTask:
    given = {"intervals": () if {"quantiles", "equal"} & set(changes) else CUTS, **changes}
    return SurvivalTask("lifetime", **{"time": "days", "event": "stopped", **given})


def read(record: SurvivalTask, **log) -> tuple[pa.RecordBatch, list[str]]:
    """Canonical rows and the reasons of the rejected ones."""
    rows = len(log["days"])
    raw = {"genre": ["g"] * rows, "quality": [0.0] * rows, "click": [1] * rows, "watch": [1.0] * rows}
    batch = pa.RecordBatch.from_pydict({**raw, "part": ["train"] * rows, **log})
    kept, reasons = canonicalize(survival_problem(record), batch, 0, np.arange(rows))
    return kept, [reason for _, reason in reasons]


def label(batch: pa.RecordBatch, part: str = "") -> list[float | None]:
    return batch.column(columns.label(f"lifetime__{part}" if part else "lifetime")).to_pylist()


def test_both_columns_empty_is_no_label() -> None:
    batch, reasons = read(task(), days=[1.5, None, 0.0], stopped=[1, None, 0])
    assert reasons == []
    assert label(batch) == [1.5, None, 0.0]
    assert label(batch, "event") == [1.0, None, 0.0]


@pytest.mark.parametrize(
    ("changes", "log", "reason"),
    [
        ({}, {"days": [None], "stopped": [1]}, "label 'days' is missing beside an event"),
        ({}, {"days": [NAN], "stopped": [0]}, "label 'days' is missing beside an event"),
        ({}, {"days": [1.0], "stopped": [None]}, "label 'stopped' is missing beside a time"),
        ({}, {"days": [-1.0], "stopped": [1]}, "label 'days' is negative"),
        ({}, {"days": [math.inf], "stopped": [1]}, "label 'days' is not finite in float32"),
        ({}, {"days": [1.0], "stopped": [2]}, "label 'stopped' is neither 0 nor 1"),
        ({"entry": "from"}, {"days": [1.0], "stopped": [1], "from": [1.0]}, "label 'from' (the age when first seen)"),
        ({"time_upper": "to"}, {"days": [3.0], "stopped": [1], "to": [2.0]}, "label 'to' is below the time"),
        (
            {"cause": "why", "causes": ("a", "b")},
            {"days": [3.0], "stopped": [1], "why": ["c"]},
            "label 'why' is not one of the causes",
        ),
    ],
)
def test_bad_labels_are_rejected_with_a_reason(changes: dict, log: dict, reason: str) -> None:
    batch, reasons = read(task(**changes), **log)
    assert batch.num_rows == 0
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)


def test_further_parts() -> None:
    record = task(entry="from", time_upper="to")
    batch, reasons = read(
        record, days=[1.0, 2.0, 3.0], stopped=[1, 1, 0], **{"from": [0.5, None, 0.0], "to": [4.0, 2.0, None]}
    )
    assert reasons == []
    assert label(batch, "entry") == [0.5, None, 0.0]
    assert label(batch, "upper") == [4.0, None, None]
    assert label(batch, "event") == [0.0, 1.0, 0.0]  # the event lies in (1, 4], so it is none at 1
    causes, _ = read(
        task(cause="why", causes=("a", "b")), days=[1.0, 2.0, 3.0], stopped=[1, 1, 0], why=["b", "a", "what?"]
    )
    assert label(causes, "cause") == [1.0, 0.0, None]


def test_what_was_not_known_yet_is_censored() -> None:
    behavior = behavior_of(task(unit="days", entry="from", time_upper="to"))
    labels = {
        "": np.float32([5, 5, 5, NAN, 5, 2]),
        "event": np.float32([1, 1, 1, NAN, 1, 0]),
        "entry": np.float32([0, 0, 0, NAN, 4, 0]),
        "upper": np.float32([NAN, NAN, NAN, NAN, NAN, 6]),
    }
    day = 86_400
    starts = np.array([0, 10, 2, 0, 7, 6]) * day
    until = np.full(6, 10 * day)
    settled = behavior.settle_labels(labels, starts, until, 1)
    # Ended before; not yet started; runs at day 10 after 8 days, ended; none; would have entered at 4, seen for 3.
    np.testing.assert_array_equal(settled[""], np.float32([5, NAN, 5, NAN, NAN, 2]))
    np.testing.assert_array_equal(settled["event"], np.float32([1, NAN, 1, NAN, NAN, 0]))
    assert np.isnan(settled["upper"][5])  # its end, day 12, was not known


def by_time(**changes) -> Problem:
    return survival_problem(
        task(unit="days", **changes),
        keys=Keys(user="genre", time="at", time_unit="s"),
        split=Split(by="time", valid=0.2, test=0.2),
    )


def test_training_labels_know_nothing_of_the_next_split() -> None:
    problem, day = by_time(), 86_400
    names = [columns.label("lifetime"), columns.label("lifetime__event")]
    batch = pa.RecordBatch.from_pydict(
        {
            columns.TIME: pa.array([0, 5 * day, 5 * day], pa.int64()),
            columns.SPLIT: pa.array([0, 0, 2], pa.int8()),
            names[0]: pa.array([3.0, 50.0, 50.0], pa.float32()),
            names[1]: pa.array([1.0, 1.0, 1.0], pa.float32()),
        }
    )
    settled = settle(problem, batch, (10 * day, 20 * day, 30 * day))
    assert settled.column(names[0]).to_pylist() == [3.0, 5.0, 50.0]
    assert settled.column(names[1]).to_pylist() == [1.0, 0.0, 1.0]


def test_a_split_by_time_needs_the_unit() -> None:
    with pytest.raises(ProblemError, match="`unit` must say the unit of `time` in a split by time"):
        survival_problem(task(), keys=Keys(user="genre", time="at"), split=Split(by="time"))


def counted(**values) -> pa.Table:
    return pa.table({**values, "count": [1] * len(next(iter(values.values())))})


def test_what_is_fitted() -> None:
    table = counted(value=[1.0, 4.0, 6.0, 9.0, 10.0], event=[1.0, 0.0, 1.0, 1.0, 0.0])
    state = behavior_of(task()).fit_labels(table)
    assert state["edges"] == list(CUTS)
    assert state["events"] == [1, 0, 1, 1]
    assert state["at_risk"] == [5, 4, 3, 2]
    np.testing.assert_allclose(state["hazards"], [1 / 5, 0, 1 / 3, 1 / 2])
    assert state["grid_end"] == 10.0
    [warning] = behavior_of(task()).label_warnings(state)
    assert warning == "task 'lifetime': no training row ended in (3, 5]: its hazard cannot be learned"
    facts = behavior_of(task()).label_facts(state)
    assert facts["censored_share"] == pytest.approx(0.4)


def test_the_order_of_counts_does_not_matter() -> None:
    generator = np.random.default_rng(0)
    times, events = generator.exponential(5, 500), (generator.random(500) < 0.5).astype(float)
    order = generator.permutation(500)
    record = task(quantiles=7)
    one = behavior_of(record).fit_labels(counted(value=times, event=events))
    assert behavior_of(record).fit_labels(counted(value=times[order], event=events[order])) == one


def test_causes_share_a_hazard_as_their_events_do() -> None:
    table = counted(value=[1.0, 2.0, 2.5, 9.0, 10.0], event=[1.0, 1.0, 1.0, 1.0, 0.0], cause=[0.0, 0.0, 1.0, 1.0, NAN])
    state = behavior_of(task(cause="why", causes=("a", "b"))).fit_labels(table)
    np.testing.assert_allclose(state["hazards"][0], [2 / 5, 1 / 5])


def test_the_censoring_curve_is_kept_at_few_points() -> None:
    times = np.arange(1.0, 5001.0)
    state = behavior_of(task(quantiles=5)).fit_labels(counted(value=times, event=(times % 2)))
    assert len(state["censoring"]["times"]) <= 501
    assert state["censoring"]["times"][-1] == 5000.0


@pytest.mark.parametrize(
    ("changes", "values", "text"),
    [
        ({}, {"value": [1.0, 2.0], "event": [0.0, 0.0]}, "the training split must hold rows that ended"),
        ({}, {"value": [4.0, 12.0], "event": [1.0, 0.0]}, r"the first interval must hold .* none in \(0, 3\]"),
        ({}, {"value": [1.0, 2.0], "event": [1.0, 0.0]}, "must end at most at the longest training time, 2"),
    ],
)
def test_labels_that_nothing_can_be_learnt_from(changes: dict, values: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        behavior_of(task(**changes)).fit_labels(counted(**values))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"time": ""}, "`time` must name a column"),
        ({"label": "x"}, "`label` must not be given; `time` and `event` are the label"),
        ({"model": "coxx"}, "`model` must be one of .*Did you mean 'cox'"),
        ({"equal": 3, "intervals": (1.0,)}, "one of .* must be given, not more"),
        ({"intervals": (3.0, 2.0)}, "`intervals` must ascend from above 0"),
        ({"quantiles": 0}, "`quantiles` must be an int of at least 1"),
        ({"causes": ("a", "b")}, "`causes` must list two or more values of `cause`"),
        ({"cause": "why", "causes": ("a", "b"), "model": "pmf"}, "`model` must be 'hazard' with several causes"),
        ({"time_upper": "to", "model": "cox"}, "`time_upper` must stand beside a model of single rows"),
        ({"shapes": 0}, "`shapes` must be an int of at least 1"),
        ({"shapes": 2, "model": "cox"}, "`shapes` must stand beside a model of"),
        ({"unit": "years"}, "`unit` must be one of"),
        ({"weight_column": "w", "weighted_metrics": True}, "`weighted_metrics` must be false"),
    ],
)
def test_mistakes_in_the_problem_file(changes: dict, text: str) -> None:
    with pytest.raises(ProblemError, match=text):
        task(**changes)


def test_a_problem_file_reads_back() -> None:
    problem = by_time(entry="from", model="mtlr")
    assert Problem.from_dict(problem.to_dict()) == problem


def test_a_task_can_be_no_parent() -> None:
    from dataclasses import replace

    problem = survival_problem(task())
    with pytest.raises(ProblemError, match="names parent 'lifetime', which is not binary"):
        replace(problem, tasks=(replace(problem.tasks[0], parent="lifetime"), *problem.tasks[1:]))
