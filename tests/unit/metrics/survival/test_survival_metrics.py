"""Survival metrics against their definitions, pair by pair, and against lifelines and scikit-survival."""

import itertools
import math

import lifelines.utils
import numpy as np
import pytest
from sksurv import metrics as sksurv

from tfmtl.metrics.survival import (
    antolini_index,
    antolini_rows,
    auc_at_times,
    brier_scores,
    brier_scores_of_cause,
    harrell_index,
    harrell_index_of_cause,
    harrell_rows,
    integrated_brier_rows,
    integrated_brier_score,
    survival_calibration,
    uno_index,
    uno_rows,
)
from tfmtl.survival import SurvivalCurves, censoring_curve, kaplan_meier

EDGES = np.array([2.0, 4.0, 7.0])


class RandomSet:
    """Few rows with tied times, tied risks and censoring; and curves that cross."""

    def __init__(self, seed: int, size: int = 24, tied: bool = True) -> None:
        generator = np.random.default_rng(seed)
        self.times = generator.integers(1, 9, size).astype(float) if tied else generator.uniform(0.1, 9, size)
        self.events = generator.random(size) < generator.choice([0.3, 0.6, 1.0])
        self.risks = generator.integers(0, 6, size).astype(float) if tied else generator.normal(size=size)
        hazards = generator.choice([0.1, 0.3, 0.6], (size, 3))
        self.curves = SurvivalCurves(EDGES, np.cumprod(1 - hazards, axis=1))
        self.causes = generator.integers(0, 2, size)
        self.censoring = censoring_curve(self.times, self.events)

    def weight(self, i: int) -> float:
        return 1 / max(float(self.censoring.before(self.times[i])), 1e-3)


def concordance(pairs) -> float:
    """Of (weight, left, right): the weighted share with left > right, a tie one half."""
    pairs = list(pairs)
    total = sum(weight for weight, _, _ in pairs)
    return sum(w * ((a > b) + 0.5 * (a == b)) for w, a, b in pairs) / total if total else math.nan


def comparable(rows: RandomSet, i: int, j: int) -> bool:
    later = rows.times[i] < rows.times[j] or (rows.times[i] == rows.times[j] and not rows.events[j])
    return bool(rows.events[i] and i != j and later)


@pytest.mark.parametrize("seed", range(200))
def test_every_index_pair_by_pair(seed: int) -> None:
    rows = RandomSet(seed)
    t, e, r = rows.times, rows.events, rows.risks
    pairs = list(itertools.permutations(range(len(t)), 2))
    close = {"abs": 1e-12, "nan_ok": True}

    harrell = concordance((1.0, r[i], r[j]) for i, j in pairs if comparable(rows, i, j))
    assert harrell_index(t, e, r) == pytest.approx(harrell, **close)

    at = rows.curves.at(t)  # of row j at the time of row i: at[j, i]
    antolini = concordance((1.0, at[j, i], at[i, i]) for i, j in pairs if comparable(rows, i, j))
    assert antolini_index(t, e, rows.curves) == pytest.approx(antolini, **close)

    uno = concordance((rows.weight(i) ** 2, r[i], r[j]) for i, j in pairs if e[i] and t[i] < 7 and t[j] > t[i])
    assert uno_index(t, e, r, rows.censoring, 7.0) == pytest.approx(uno, **close)

    auc = concordance((rows.weight(i), r[i], r[j]) for i, j in pairs if e[i] and t[i] <= 4 < t[j])
    assert auc_at_times(t, e, r, [4.0], rows.censoring)[0] == pytest.approx(auc, **close)

    survival = rows.curves.at([4.0])[:, 0]
    running = 1 / max(float(rows.censoring.at(4.0)), 1e-3)
    terms = [
        (rows.weight(i) * s**2 if e[i] else 0.0) if t[i] <= 4 else running * (1 - s) ** 2
        for i, s in enumerate(survival)
    ]
    assert brier_scores(t, e, rows.curves, [4.0], rows.censoring)[0] == pytest.approx(np.mean(terms), **close)


@pytest.mark.parametrize("seed", range(10))
def test_causes_pair_by_pair(seed: int) -> None:
    rows = RandomSet(seed)
    t, e, r, c = rows.times, rows.events, rows.risks, rows.causes
    pairs = []
    for i, j in itertools.permutations(range(len(t)), 2):
        other = e[j] and c[j] != 1  # it will never end by cause 1
        if e[i] and c[i] == 1 and (other or comparable(rows, i, j)):
            pairs.append((1.0, r[i], r[j]))
    assert harrell_index_of_cause(t, e, c, r, 1) == pytest.approx(concordance(pairs), abs=1e-12, nan_ok=True)

    incidence = 1 - rows.curves.at([4.0])
    terms = []
    for i, predicted in enumerate(incidence[:, 0]):
        weight = (rows.weight(i) if e[i] else 0.0) if t[i] <= 4 else 1 / max(float(rows.censoring.at(4.0)), 1e-3)
        terms.append(weight * (float(e[i] and t[i] <= 4 and c[i] == 1) - predicted) ** 2)
    ours = brier_scores_of_cause(t, e, c, incidence, [4.0], rows.censoring, 1)
    assert ours[0] == pytest.approx(np.mean(terms), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_other_packages(seed: int) -> None:
    rows = RandomSet(seed, size=300, tied=False)
    t, r = rows.times, rows.risks
    e = np.random.default_rng(seed).random(300) < 0.6
    censoring = censoring_curve(t, e)
    structured = np.array(list(zip(e, t, strict=True)), dtype=[("e", bool), ("t", float)])
    ours = harrell_index(t, e, r)
    assert ours == pytest.approx(lifelines.utils.concordance_index(t, -r, e), abs=1e-12)
    assert ours == pytest.approx(sksurv.concordance_index_censored(e, t, r)[0], abs=1e-12)
    theirs = sksurv.concordance_index_ipcw(structured, structured, r, tau=7.0)[0]
    assert uno_index(t, e, r, censoring, 7.0) == pytest.approx(theirs, abs=1e-12)
    grid = np.linspace(1, 6, 11)
    areas, _ = sksurv.cumulative_dynamic_auc(structured, structured, r, grid)
    np.testing.assert_allclose(auc_at_times(t, e, r, grid, censoring), areas, atol=1e-12)
    survival = rows.curves.at(grid)
    _, scores = sksurv.brier_score(structured, structured, survival, grid)
    np.testing.assert_allclose(brier_scores(t, e, rows.curves, grid, censoring), scores, atol=1e-12)
    integrated = sksurv.integrated_brier_score(structured, structured, survival, grid)
    assert integrated_brier_score(t, e, rows.curves, grid, censoring) == pytest.approx(integrated, abs=1e-12)


def test_harrell_of_tied_times_equals_lifelines() -> None:
    rows = RandomSet(0, size=500)
    theirs = lifelines.utils.concordance_index(rows.times, -rows.risks, rows.events)
    assert harrell_index(rows.times, rows.events, rows.risks) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_parts_of_rows_leave_out_exactly_one(seed: int) -> None:
    rows = RandomSet(seed, size=12)
    t, e, r, grid = rows.times, rows.events, rows.risks, [2.0, 5.0]
    measures = {
        "harrell": lambda kept: harrell_rows(t[kept], e[kept], r[kept]),
        "uno": lambda kept: uno_rows(t[kept], e[kept], r[kept], rows.censoring, 7.0),
        "antolini": lambda kept: antolini_rows(t[kept], e[kept], rows.curves.rows(kept)),
        "ibs": lambda kept: integrated_brier_rows(t[kept], e[kept], rows.curves.rows(kept), grid, rows.censoring),
    }
    everything = np.arange(len(t))
    for name, measure in measures.items():
        without = [measure(np.delete(everything, row)).value for row in everything]
        np.testing.assert_allclose(measure(everything).without_each(), without, atol=1e-12, err_msg=name)


def test_parts_add_up_to_the_index() -> None:
    rows = RandomSet(1)
    t, e, r = rows.times, rows.events, rows.risks
    assert harrell_rows(t, e, r).value == pytest.approx(harrell_index(t, e, r))
    assert uno_rows(t, e, r, rows.censoring).value == pytest.approx(uno_index(t, e, r, rows.censoring))


def test_true_order_is_1_its_negation_0_a_constant_one_half() -> None:
    times, events = np.arange(1.0, 30.0), np.ones(29)
    assert harrell_index(times, events, -times) == 1
    assert harrell_index(times, events, times) == 0
    assert harrell_index(times, events, np.zeros(29)) == 0.5


def test_antolini_and_harrell_differ_where_curves_cross() -> None:
    curves = SurvivalCurves(np.array([2.0, 10.0]), np.array([[0.6, 0.59], [0.9, 0.0]]))
    times, events = [1.0, 2.0], [1, 1]
    assert antolini_index(times, events, curves) == 1
    assert harrell_index(times, events, -curves.expected_lifetime()) == 0


def test_nothing_to_compare_is_nan() -> None:
    assert math.isnan(harrell_index([1, 2], [0, 0], [1, 2]))
    assert math.isnan(harrell_index([], [], []))
    assert math.isnan(antolini_index([1], [1], SurvivalCurves(EDGES, np.array([[0.9, 0.5, 0.1]]))))


def test_rows_without_a_label_are_absent() -> None:
    rows = RandomSet(4)
    times = np.append(rows.times, math.nan)
    events, risks = np.append(rows.events, 0), np.append(rows.risks, math.nan)
    assert harrell_index(times, events, risks) == harrell_index(rows.times, rows.events, rows.risks)


def test_kaplan_meier_for_all_is_calibrated_at_every_time() -> None:
    rows = RandomSet(2, size=200)
    curve = kaplan_meier(rows.times, rows.events)
    [group] = survival_calibration(rows.times, rows.events, np.full(200, float(curve.at(4))), at=4.0)
    assert group.rows == 200
    assert group.predicted == pytest.approx(group.observed)


def test_groups_of_calibration_are_sorted_and_equally_large() -> None:
    rows = RandomSet(3, size=100, tied=False)
    groups = survival_calibration(rows.times, rows.events, rows.risks, at=4.0, num_groups=5)
    assert [group.rows for group in groups] == [20] * 5
    assert sorted(group.predicted for group in groups) == [group.predicted for group in groups]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: harrell_index([1, -2], [1, 1], [0, 0]), "`times` must be at least 0 or NaN.*times=-2.0"),
        (lambda: harrell_index([1, 2], [1, 3], [0, 0]), "`events` must be 0 or 1.*events=3.0"),
        (lambda: harrell_index([1, 2], [1, 1], [0, math.nan]), "`risks` must not be NaN"),
        (lambda: harrell_index([1, 2], [1], [0, 0]), "`events` must have as many rows"),
        (
            lambda: integrated_brier_score(
                [1.0], [1], SurvivalCurves(EDGES, np.array([[0.9, 0.5, 0.1]])), [3.0], censoring_curve([1.0], [1])
            ),
            "`grid` must ascend, with two times or more",
        ),
    ],
)
def test_errors(call, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
