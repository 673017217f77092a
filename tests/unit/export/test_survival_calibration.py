"""Calibration of survival curves: what it fits, what it must never change, and that all answers follow from it."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from sklearn.isotonic import IsotonicRegression

from tests.support.survival_problem import survival_problem
from tfmtl.export.calibration.calibrate import calibrate, calibrated, calibration_report
from tfmtl.export.calibration.kaplan_meier_calibration import KaplanMeierCalibration
from tfmtl.export.calibration.reliability_figure import save_reliability_figure
from tfmtl.pipelines.cli.option_values import task_methods
from tfmtl.schema import SurvivalTask
from tfmtl.survival import SurvivalCurves, kaplan_meier
from tfmtl.tasks.survival_report import probability_measures
from tfmtl.tasks.survival_state import fit_survival_state

ROWS = 4000
EDGES = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
TASK = SurvivalTask("lifetime", time="days", event="stopped", intervals=EDGES)
BIASES = {
    "too high": lambda hazard: 0.5 * hazard,
    "too low, more so with time": lambda hazard: hazard * (1.0 + 0.2 * np.array(EDGES)),
    "too sure": lambda hazard: 1.5 * hazard**1.6,
}


class Planted(NamedTuple):
    labels: dict[str, np.ndarray]
    hazard: np.ndarray  # true and cumulative, at the edges

    def outputs(self, bias: str | None = None) -> dict[str, np.ndarray]:
        hazard = self.hazard if bias is None else BIASES[bias](self.hazard)
        survival = np.exp(-hazard)
        lives = SurvivalCurves(np.array(EDGES), survival).expected_lifetime()
        before = np.concatenate([np.ones((len(hazard), 1)), survival[:, :-1]], axis=1)
        return {"": lives, "survival": survival, "hazard": 1.0 - survival / before, "median": lives}

    def half(self, second: bool) -> "Planted":
        rows = slice(ROWS // 2, None) if second else slice(0, ROWS // 2)
        return Planted({part: values[rows] for part, values in self.labels.items()}, self.hazard[rows])


@pytest.fixture(scope="module")
def planted() -> Planted:
    generator = np.random.default_rng(4)
    rate = np.exp(-1.2 + 0.8 * generator.normal(size=ROWS))
    life, seen = generator.exponential(1.0 / rate), generator.exponential(12.0, ROWS)
    labels = {"": np.minimum(life, seen), "event": (life <= seen).astype(float)}
    return Planted(labels, rate[:, None] * np.array(EDGES))


@pytest.fixture(scope="module")
def state(planted: Planted) -> dict:
    columns = {"value": planted.labels[""], "event": planted.labels["event"], "count": np.ones(ROWS, np.int64)}
    return fit_survival_state(TASK, pa.table(columns))


def fitted(planted: Planted, state: dict, bias: str | None) -> KaplanMeierCalibration:
    first = planted.half(second=False)
    return KaplanMeierCalibration.of_task(TASK, state, first.labels, first.outputs(bias))


def random_curves(number: int = 300) -> np.ndarray:
    """Curves that cross, some of them level, some at 0 and some at 1."""
    generator = np.random.default_rng(0)
    hazards = generator.beta(0.4, 0.8, (number, len(EDGES)))
    hazards[:20], hazards[20:40, 2], hazards[40:60] = 0.0, 1.0, hazards[40:60] > 0.5
    return np.cumprod(1.0 - hazards, axis=1)


@pytest.mark.parametrize("bias", BIASES)
def test_a_biased_model_gets_better_on_rows_that_were_not_seen(planted: Planted, state: dict, bias: str) -> None:
    calibrator, rest = fitted(planted, state, bias), planted.half(second=True)
    before = probability_measures(TASK, state, rest.labels, rest.outputs(bias))
    after = probability_measures(TASK, state, rest.labels, calibrator.of_arrays(rest.outputs(bias)))
    right = probability_measures(TASK, state, rest.labels, rest.outputs())
    assert before["d_calibration_p"] < 1e-6
    assert after["d_calibration_p"] > 1e-3
    assert after["calibration_error"] < 0.5 * before["calibration_error"]
    # Of what the bias costs, most comes back.
    assert after["ibs"] - right["ibs"] < 0.3 * (before["ibs"] - right["ibs"])
    assert after["nll"] - right["nll"] < 0.3 * (before["nll"] - right["nll"])


def test_a_calibrated_model_stays_nearly_as_it_is(planted: Planted, state: dict) -> None:
    calibrator, rest = fitted(planted, state, None), planted.half(second=True)
    survival = rest.outputs()["survival"]
    moved = np.abs(calibrator.of_arrays(rest.outputs())["survival"] - survival)
    assert moved.mean() < 0.02
    # The standard error of a group of 200 rows is .035 at most.
    assert moved.max() < 0.12


def test_curves_stay_curves_in_their_order(planted: Planted, state: dict) -> None:
    calibrator, survival = fitted(planted, state, "too low, more so with time"), random_curves()
    after = calibrator.of_arrays({"survival": survival})["survival"]
    assert ((after >= 0.0) & (after <= 1.0)).all()
    assert (np.diff(after, axis=1, prepend=1.0) <= 0.0).all()
    assert (SurvivalCurves(np.array(EDGES), after).at([0.0]) == 1.0).all()
    # A curve that is nowhere below another one stays so.
    lower = survival * np.random.default_rng(1).random((len(survival), 1))
    assert (calibrator.of_arrays({"survival": lower})["survival"] <= after).all()
    # Where a value is not bounded by the one before, the order at its time is what it was.
    free = after < np.concatenate([np.ones((len(after), 1)), after[:, :-1]], axis=1)
    assert 0.2 < free.mean() < 1.0
    for column, calibrated_column, rows in zip(survival.T, after.T, free.T, strict=True):
        order = np.argsort(column[rows], kind="stable")
        assert (np.diff(calibrated_column[rows][order]) >= 0.0).all()


def test_curves_that_do_not_cross_keep_their_order_at_every_time(planted: Planted, state: dict) -> None:
    for bias in BIASES:
        before = planted.outputs(bias)["survival"]
        after = fitted(planted, state, bias).of_arrays({"survival": before})["survival"]
        for column, calibrated_column in zip(before.T, after.T, strict=True):
            order = np.argsort(column)
            assert (np.diff(calibrated_column[order]) >= 0.0).all()
            # No ties that were none, above what float32 can hold.
            assert len(np.unique(calibrated_column)) >= len(np.unique(np.maximum(column, 1e-38)))


def test_knots_are_those_of_an_isotonic_regression_of_kaplan_meier(planted: Planted, state: dict) -> None:
    first = planted.half(second=False)
    survival = first.outputs("too sure")["survival"]
    calibrator = fitted(planted, state, "too sure")
    for edge, column, knots in zip(EDGES, survival.T, calibrator.knots, strict=True):
        groups = np.array_split(np.argsort(column), 10)
        predicted = np.array([column[rows].mean() for rows in groups])
        observed = np.array(
            [kaplan_meier(first.labels[""][rows], first.labels["event"][rows]).at([edge])[0] for rows in groups]
        )
        bounded = np.clip(observed, 1 / 202, 1 - 1 / 202)
        expected = IsotonicRegression().fit_transform(predicted, bounded)
        levels = np.unique(expected.round(12))
        np.testing.assert_allclose([level for _, level in knots], levels, atol=1e-9)
        centers = [predicted[np.isclose(expected, level, atol=1e-9)].mean() for level in levels]
        np.testing.assert_allclose([center for center, _ in knots], centers, atol=1e-9)

        def scaled(values: np.ndarray) -> np.ndarray:
            return np.log(-np.log(np.asarray(values)))

        inside = np.linspace(knots[0][0], knots[-1][0], 50)
        among = np.interp(-scaled(inside), -scaled([x for x, _ in knots]), -scaled([y for _, y in knots]))
        place = EDGES.index(edge)
        curves = np.tile(inside[:, None], (1, len(EDGES)))
        np.testing.assert_allclose(calibrator._mapped(np, scaled(curves))[:, place], -among, atol=1e-9)
        # Beyond the last knot the cumulative hazard has a constant factor.
        outside = np.array([[0.999] * len(EDGES), [0.9999] * len(EDGES)])
        factors = np.exp(calibrator._mapped(np, scaled(outside)) - scaled(outside))[:, place]
        assert factors[0] == pytest.approx(factors[1])
        assert factors[0] == pytest.approx(np.log(knots[-1][1]) / np.log(knots[-1][0]))


def test_graph_computes_what_numpy_does_and_all_answers_follow(planted: Planted, state: dict) -> None:
    calibrator = fitted(planted, state, "too sure")
    survival = np.concatenate([random_curves(), planted.outputs("too sure")["survival"][:300]]).astype(np.float32)
    expected = calibrator.of_arrays({"survival": survival.astype(np.float64)})
    spec = {"survival": tf.TensorSpec((None, len(EDGES)), tf.float32)}
    function = tf.function(calibrator.of_tensors, input_signature=[spec])
    found = function({"survival": tf.constant(survival)})
    assert all(values.dtype == tf.float32 for values in found.values())
    assert set(found) == set(expected) == {"", "survival", "hazard", "median"}
    for suffix, values in expected.items():
        np.testing.assert_allclose(found[suffix], values, rtol=2e-6, atol=2e-6, err_msg=suffix)
    curves = SurvivalCurves(np.array(EDGES), expected["survival"])
    np.testing.assert_allclose(expected[""], curves.expected_lifetime())
    np.testing.assert_allclose(expected["median"], curves.median_lifetime())
    lived = np.cumprod(1.0 - expected["hazard"], axis=1)
    np.testing.assert_allclose(lived, expected["survival"], atol=1e-12)
    assert function({"survival": tf.zeros((0, len(EDGES)))})[""].shape == (0,)


def test_causes_share_what_ended_as_they_did(planted: Planted, state: dict) -> None:
    task = SurvivalTask("lifetime", time="days", event="stopped", intervals=EDGES, cause="why", causes=("a", "b"))
    plain = planted.half(second=False).outputs("too high")
    ended = 1.0 - plain["survival"]
    outputs = {**plain, "cif_a": 0.25 * ended, "cif_b": 0.75 * ended}
    calibrator = KaplanMeierCalibration.of_task(task, state, planted.half(second=False).labels, outputs)
    after = calibrator.of_arrays(outputs)
    np.testing.assert_allclose(after["cif_a"] + after["cif_b"] + after["survival"], 1.0, atol=1e-9)
    np.testing.assert_allclose(3.0 * after["cif_a"], after["cif_b"], rtol=1e-6)
    graph = calibrator.of_tensors({name: tf.constant(values, tf.float32) for name, values in outputs.items()})
    np.testing.assert_allclose(graph["cif_b"], after["cif_b"], atol=1e-5)


def test_entries_count_and_an_end_that_nobody_reaches_is_that_before(planted: Planted, state: dict) -> None:
    first = planted.half(second=False)
    short = np.minimum(first.labels[""], 4.0)
    labels = {"": short, "event": np.where(first.labels[""] > 4.0, 0.0, first.labels["event"])}
    calibrator = KaplanMeierCalibration.of_task(TASK, state, labels, first.outputs("too high"))
    assert calibrator.knots[3] != calibrator.knots[2]
    assert calibrator.knots[4] == calibrator.knots[5] == calibrator.knots[3]
    late = KaplanMeierCalibration.of_task(
        TASK, state, {**labels, "entry": np.minimum(0.9 * short, 2.0)}, first.outputs("too high")
    )
    assert late.knots[3] != calibrator.knots[3]


def test_few_events_are_one_group(planted: Planted, state: dict) -> None:
    first = planted.half(second=False)
    few = Planted({part: values[:45] for part, values in first.labels.items()}, first.hazard[:45])
    assert 20 <= few.labels["event"].sum() < 40
    calibrator = KaplanMeierCalibration.of_task(TASK, state, few.labels, few.outputs("too high"))
    assert {len(knots) for knots in calibrator.knots} == {1}
    hazards = -np.log(calibrator.of_arrays(first.outputs("too high"))["survival"][:, 0])
    np.testing.assert_allclose(
        hazards / -np.log(first.outputs("too high")["survival"][:, 0]), hazards[0] / (0.5 * first.hazard[0, 0])
    )


def test_report_and_figure(planted: Planted, state: dict, tmp_path) -> None:
    problem = survival_problem(TASK)
    halves = [planted.half(second) for second in (False, True)]
    splits = {
        name: {
            "labels": {TASK.key(part): values for part, values in half.labels.items()},
            "predictions": {TASK.key(suffix): values for suffix, values in half.outputs("too high").items()},
        }
        for name, half in zip(("valid", "test"), halves, strict=True)
    }
    valid = splits["valid"]
    calibrators = calibrate(problem, {"lifetime": "km"}, valid["labels"], valid["predictions"], {"lifetime": state})
    found = calibration_report(calibrators, splits)["lifetime"]
    assert found["method"] == "km"
    assert found["test"]["examples"] == ROWS // 2
    assert found["test"]["ibs_calibrated"] < found["test"]["ibs"]
    after = calibrated(calibrators, splits["test"]["predictions"], in_graph=False)
    assert (after["lifetime"] < splits["test"]["predictions"]["lifetime"]).mean() > 0.9
    save_reliability_figure(tmp_path / "figure.png", calibrators, splits)
    assert (tmp_path / "figure.png").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("task", "method", "message"),
    [
        ("click", "km", "`method` must be one that kind 'binary' has, which are ['platt', 'isotonic', 'negatives'], "
                        "for task 'click'. Received: method='km'. Tasks that can have it: ['lifetime', 'between']."),
        ("watch", "km", "`task` must be a task that can be calibrated, which kind 'regression' cannot."),
        ("lifetime", "isotonic", "`method` must be one that kind 'survival' has, which are ['km'], for task"),
        ("lifetime", "km:3", "`method` must have nothing after its name. Received: method='km:3'."),
        ("lifetime", "km", "`task` must have 20 rows that ended in the validation split. Received: task='lifetime'. "
                           "There are 5."),
        ("between", "km", "`task` must have exact times, without `time_upper`, for 'km'. Received: task='between'."),
    ],
)  # fmt: skip
def test_errors(task: str, method: str, message: str, state: dict) -> None:
    between = SurvivalTask("between", time="days", event="stopped", intervals=EDGES, time_upper="days_to")
    problem = survival_problem(TASK, between)
    labels = {key: np.ones(5) for key in problem.label_keys}
    predictions = {name: np.full((5, len(EDGES)), 0.5) for name in ("lifetime__survival", "between__survival")}
    with pytest.raises(ValueError) as caught:
        calibrate(problem, {task: method}, labels, predictions, {"lifetime": state, "between": state})
    assert str(caught.value).startswith("calibrate: " + message)


def test_a_method_alone_is_for_the_tasks_that_can_have_it() -> None:
    problem = survival_problem()
    assert task_methods("export", problem, ["km", "platt"]) == {"lifetime": "km", "click": "platt"}
    assert task_methods("export", problem, ["platt", "click=isotonic"]) == {"click": "isotonic"}
    with pytest.raises(ValueError, match="must name one method for all tasks"):
        task_methods("export", problem, ["platt", "isotonic"])
    lone = survival_problem(tasks=(TASK,))
    with pytest.raises(ValueError, match=r"must name a method of some task\. Received: 'platt'\. Tasks and their"):
        task_methods("export", lone, ["platt"])
