"""Calibrators fit what they should, and compute the same in the graph as in NumPy."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tests.support.tiny_problem import tiny_problem
from tfmtl.export.calibration.calibrate import calibrate, calibration_report
from tfmtl.export.calibration.calibrator import ScoreCalibrator
from tfmtl.export.calibration.isotonic_calibration import IsotonicCalibration
from tfmtl.export.calibration.negative_sampling import NegativeSampling
from tfmtl.export.calibration.platt_scaling import PlattScaling
from tfmtl.export.calibration.reliability_figure import save_reliability_figure
from tfmtl.metrics import expected_calibration_error

ROWS = 4000


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


@pytest.fixture(scope="module")
def wrong() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, the probabilities of an overconfident and biased model (float32, with ties), and the true ones."""
    generator = np.random.default_rng(3)
    logits = np.round(generator.normal(-1.0, 1.5, ROWS), 2)
    true = sigmoid(0.5 * logits - 0.7)
    return (generator.random(ROWS) < true).astype(np.float64), sigmoid(logits).astype(np.float32), true


CALIBRATORS = [
    PlattScaling(0.5, -0.7),
    PlattScaling(-0.2, 3.0),
    IsotonicCalibration((0.1, 0.3, 0.300001, 0.9), (0.05, 0.05, 0.4, 0.8)),
    IsotonicCalibration((0.4,), (0.25,)),
    NegativeSampling(0.1),
    NegativeSampling(1.0),
]


@pytest.mark.parametrize("calibrator", CALIBRATORS, ids=lambda calibrator: calibrator.method)
def test_graph_computes_what_numpy_does(calibrator: ScoreCalibrator) -> None:
    edges = [0.0, 1e-9, 1e-7, 0.1, 0.3, 0.3000005, 0.300001, 0.4, 0.9, 1.0 - 1e-6, 1.0]
    probabilities = np.concatenate([edges, np.random.default_rng(0).random(500)]).astype(np.float32)
    function = tf.function(calibrator.of_tensor, input_signature=[tf.TensorSpec((None,), tf.float32)])
    found = function(tf.constant(probabilities))
    assert found.dtype == tf.float32
    expected = calibrator.of_array(probabilities.astype(np.float64))
    assert np.all((expected >= 0.0) & (expected <= 1.0))
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=2e-7)
    assert function(tf.zeros(0)).shape == (0,)
    assert type(calibrator)(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in calibrator.parameters().items()}
    ) == (calibrator)


def test_platt_is_the_logistic_regression_of_the_smoothed_targets(wrong: tuple) -> None:
    labels, probabilities, _ = wrong
    positives, negatives = labels.sum(), ROWS - labels.sum()
    targets = np.where(labels == 1.0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    p = probabilities.astype(np.float64)
    logits = np.log(p / (1.0 - p))[:, None]
    reference = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000)
    weights = np.concatenate([targets, 1.0 - targets])
    reference.fit(np.concatenate([logits, logits]), np.repeat([1, 0], ROWS), sample_weight=weights)
    fitted = PlattScaling.fit(labels, p)
    assert fitted.slope == pytest.approx(reference.coef_[0, 0], rel=1e-4)
    assert fitted.intercept == pytest.approx(reference.intercept_[0], rel=1e-4)
    assert fitted.slope == pytest.approx(0.5, abs=0.06)
    assert fitted.intercept == pytest.approx(-0.7, abs=0.1)


def test_platt_of_a_perfect_separation_stays_finite() -> None:
    labels = np.repeat([0.0, 1.0], 50)
    fitted = PlattScaling.fit(labels, np.where(labels == 1.0, 0.9, 0.1))
    assert fitted.of_array(np.array([0.9]))[0] == pytest.approx(51 / 52, abs=1e-6)
    assert PlattScaling.fit(labels, np.full(100, 0.3)).of_array(np.array([0.3]))[0] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("rows", [1, 2, 7, 300, ROWS])
def test_isotonic_is_scikit_learns(wrong: tuple, rows: int) -> None:
    labels, probabilities = wrong[0][:rows], wrong[1][:rows].astype(np.float64)
    fitted = IsotonicCalibration.fit(labels, probabilities)
    reference = IsotonicRegression(out_of_bounds="clip").fit(probabilities, labels)
    anywhere = np.concatenate([probabilities, np.linspace(0.0, 1.0, 501)])
    # Clipped at the knots, between which both are straight.
    low = 1.0 / (rows + 2.0)
    known, counts = np.unique(probabilities, return_counts=True)
    means = np.interp(known, reference.X_thresholds_, reference.y_thresholds_)
    values = np.clip(means, low, 1.0 - low)
    # By definition: below and above all cones with the steepest slope allowed.
    rise = 20.0 * (known[:, None] - known[None, :])
    below = np.min(np.where(rise >= 0.0, values + rise, np.inf), axis=1)
    above = np.max(np.where(rise <= 0.0, values + rise, -np.inf), axis=1)
    limited = (below + above) / 2.0
    limited += np.average(means - limited, weights=counts)
    expected = np.interp(anywhere, known, np.clip(limited, low, 1.0 - low))
    np.testing.assert_allclose(fitted.of_array(anywhere), expected, atol=1e-9)
    assert np.all(np.diff(fitted.inputs) > 0.0)
    assert np.all(np.diff(fitted.outputs) >= 0.0)


def test_isotonic_makes_no_other_answer_of_rounding(wrong: tuple) -> None:
    labels, probabilities, _ = wrong
    near = np.linspace(0.2, 0.8, 200, dtype=np.float32)
    jump = IsotonicCalibration.fit(near > 0.5, near)
    for fitted, inputs in ((jump, near), (IsotonicCalibration.fit(labels, probabilities), probabilities)):
        there = inputs.astype(np.float64)
        np.testing.assert_allclose(fitted.of_array(there + 1e-7), fitted.of_array(there), rtol=0.0, atol=2.001e-6)
    assert jump.of_array(np.array([0.2, 0.8])) == pytest.approx([1 / 202, 201 / 202])


def test_negatives_left_out_are_put_back() -> None:
    """By Bayes: among p positives and (1 - p) kept negatives the model sees p / (p + kept (1 - p))."""
    true = np.linspace(0.0, 1.0, 101)
    seen = true / (true + 0.05 * (1.0 - true))
    np.testing.assert_allclose(NegativeSampling(0.05).of_array(seen), true, atol=1e-12)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_gets_better_on_rows_that_were_not_seen(wrong: tuple, method: str) -> None:
    labels, probabilities, _ = wrong
    half = ROWS // 2
    gaps = np.full(half, np.nan)  # missing labels are no labels
    valid = {"click": np.concatenate([labels[:half], gaps])}
    scores = {"click": np.concatenate([probabilities[:half], np.full(half, 0.99, np.float32)])}
    calibrators = calibrate(tiny_problem(), {"click": method}, valid, scores)
    before, after = (
        expected_calibration_error(labels[half:], values)
        for values in (
            probabilities[half:],
            calibrators["click"].of_arrays({"": probabilities[half:].astype(np.float64)})[""],
        )
    )
    assert before > 0.1
    assert after < 0.5 * before
    test = {"labels": {"click": labels[half:]}, "predictions": {"click": probabilities[half:]}}
    nothing = {"labels": {"click": gaps}, "predictions": {"click": probabilities[half:]}}
    report = calibration_report(calibrators, {"test": test, "valid": nothing})["click"]
    assert report["method"] == method
    assert report["test"]["examples"] == half
    assert (report["test"]["ece"], report["test"]["ece_calibrated"]) == pytest.approx((before, after))
    assert report["test"]["log_loss_calibrated"] < report["test"]["log_loss"]
    assert "valid" not in report
    assert json.loads(json.dumps(report)) == report


def test_figure(wrong: tuple, tmp_path: Path) -> None:
    labels, probabilities, _ = wrong
    tasks = {"click": PlattScaling(0.5, -0.7), "buy": NegativeSampling(0.5)}
    result = {"labels": dict.fromkeys(tasks, labels), "predictions": dict.fromkeys(tasks, probabilities)}
    empty = {**result, "labels": dict.fromkeys(tasks, np.full(ROWS, np.nan))}
    path = tmp_path / "reliability.png"
    save_reliability_figure(path, tasks, {"valid": result, "test": empty})
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("task", "method", "message"),
    [
        ("clik", "platt", "`task` must be one of ['click', 'buy', 'watch']. Received: task='clik'. Use one of these. "
                          "Did you mean 'click'?"),
        ("watch", "platt", "`task` must be a task that can be calibrated, which kind 'regression' cannot. "
                           "Received: task='watch'. Tasks to calibrate: ['click', 'buy']."),
        ("click", "plat", "`method` must be one of ['platt', 'isotonic', 'negatives']. Received: method='plat'."),
        ("click", "platt:2", "`method` must have nothing after its name. Received: method='platt:2'."),
        ("click", "negatives", "`method` must say a share in (0, 1]. Received: method='negatives'."),
        ("click", "negatives:0", "`method` must say a share in (0, 1]. Received: method='negatives:0'."),
        ("click", "negatives:nan", "`method` must say a share in (0, 1]."),
        ("buy", "isotonic", "`task` must have positive and negative labels in the validation split. "
                            "Received: task='buy'."),
    ],
)  # fmt: skip
def test_errors(task: str, method: str, message: str) -> None:
    labels = {"click": np.array([0.0, 1.0, np.nan]), "buy": np.array([0.0, 0.0, np.nan])}
    scores = dict.fromkeys(labels, np.full(3, 0.5, np.float32))
    with pytest.raises(ValueError) as caught:
        calibrate(tiny_problem(), {task: method}, labels, scores)
    assert str(caught.value).startswith("calibrate: " + message)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("platt", "PlattScaling: `slope` must come out positive: the higher this model predicts, the rarer"),
        ("isotonic", "IsotonicCalibration: `labels` must rise with the model's probability"),
    ],
)
def test_a_model_that_is_the_wrong_way_round_is_refused(method: str, reason: str) -> None:
    generator = np.random.default_rng(5)
    scores = generator.random(2000)
    labels = (generator.random(2000) < 1.0 - scores).astype(np.float64)
    with pytest.raises(ValueError) as caught:
        calibrate(tiny_problem(), {"click": method}, {"click": labels}, {"click": scores})
    assert str(caught.value).startswith(f"calibrate: task 'click' cannot be calibrated by '{method}'. {reason}")
    right = calibrate(tiny_problem(), {"click": method}, {"click": 1.0 - labels}, {"click": scores})
    assert np.ptp(right["click"].of_arrays({"": scores})[""]) > 0.1


def test_equal_probabilities_are_shifted_alone() -> None:
    labels = np.repeat([0.0, 1.0], [90, 10])
    fitted = PlattScaling.fit(labels, np.full(100, 0.98))
    assert fitted.slope == 1.0
    assert fitted.of_array(np.array([0.98]))[0] == pytest.approx(0.1, abs=0.02)
