"""Intervals, tests between models, and calibration of whole distributions."""

import numpy as np
import pytest
from scipy import stats

from tfmtl.metrics.survival import RowSums, d_calibration, harrell_rows, index_difference, index_interval
from tfmtl.metrics.survival.d_calibration import chi_squared_tail
from tfmtl.survival import SurvivalCurves

EDGES = np.array([1.0, 3.0, 6.0, 20.0])


def mean_of(values: np.ndarray):
    return lambda rows: RowSums(values[rows], np.ones(len(rows)))


def test_bootstrap_and_jackknife_know_the_standard_error_of_a_mean() -> None:
    generator = np.random.default_rng(0)
    few, many = generator.normal(size=400), generator.normal(size=20_001)
    assert index_interval(mean_of(few), 400).standard_error == pytest.approx(few.std() / 20, rel=0.15)
    interval = index_interval(mean_of(many), len(many))
    assert interval.standard_error == pytest.approx(many.std(ddof=1) / np.sqrt(len(many)), rel=1e-9)
    assert interval.high - interval.low == pytest.approx(2 * 1.959964 * interval.standard_error, rel=1e-5)


def test_bootstrap_and_jackknife_agree_on_a_concordance() -> None:
    generator = np.random.default_rng(1)
    times, events = generator.exponential(size=300), generator.random(300) < 0.7
    risks = -times + generator.normal(size=300)
    rows = harrell_rows(times, events, risks)
    left_out = rows.without_each()
    jackknife = np.sqrt(299 / 300 * np.sum((left_out - left_out.mean()) ** 2))
    interval = index_interval(lambda kept: harrell_rows(times[kept], events[kept], risks[kept]), 300)
    assert interval.standard_error == pytest.approx(jackknife, rel=0.2)
    assert interval.low < rows.value < interval.high


@pytest.mark.parametrize("size", [300, 20_001])
def test_paired_difference_is_sharper_than_two_intervals(size: int) -> None:
    generator = np.random.default_rng(2)
    shared = generator.normal(size=size)
    one, other = shared + 0.01 * generator.normal(size=size) + 0.01, shared
    difference = index_difference(mean_of(one), mean_of(other), size)
    assert difference.value == pytest.approx(0.01, abs=0.005)
    assert difference.p_value < 1e-6
    assert index_interval(mean_of(one), size).p_value > 1e-6
    assert index_difference(mean_of(one), mean_of(one), size).p_value == 1.0


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(3).normal(size=50)
    assert index_interval(mean_of(values), 50) == index_interval(mean_of(values), 50)
    assert index_interval(mean_of(values), 50) != index_interval(mean_of(values), 50, seed=1)


def test_without_rows_is_an_error() -> None:
    with pytest.raises(ValueError, match="`num_rows` must be a positive int"):
        index_interval(mean_of(np.zeros(0)), 0)


def drawn_from(curves: SurvivalCurves, generator: np.random.Generator) -> np.ndarray:
    """Times with exactly these curves (constant density between the edges)."""
    uniform = generator.random(len(curves))
    padded = np.concatenate([np.ones((len(curves), 1)), curves.survival], axis=1)
    times = np.append(0.0, EDGES)[::-1]
    return np.array([np.interp(u, row[::-1], times) for u, row in zip(uniform, padded, strict=True)])


def test_d_calibration_is_uniform_on_data_of_the_model() -> None:
    generator = np.random.default_rng(4)
    hazards = generator.uniform(0.1, 0.6, (300, 4))
    hazards[:, -1] = 1.0  # nobody outlives the horizon
    curves = SurvivalCurves(EDGES, np.cumprod(1 - hazards, axis=1))
    p_values = []
    for _ in range(200):
        times = drawn_from(curves, generator)
        p_values.append(d_calibration(times, np.ones(300), curves).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_d_calibration_stays_calibrated_under_censoring_and_finds_a_wrong_model() -> None:
    generator = np.random.default_rng(5)
    hazards = generator.uniform(0.1, 0.6, (4000, 4))
    hazards[:, -1] = 1.0
    curves = SurvivalCurves(EDGES, np.cumprod(1 - hazards, axis=1))
    times, censored = drawn_from(curves, generator), generator.exponential(8, 4000)
    observed, events = np.minimum(times, censored), times <= censored
    result = d_calibration(observed, events, curves)
    assert sum(result.counts) == pytest.approx(4000)
    assert result.p_value > 0.01
    sooner = SurvivalCurves(EDGES, curves.survival**2)
    assert d_calibration(observed, events, sooner).p_value < 1e-6


def test_d_calibration_spreads_a_censored_row() -> None:
    curves = SurvivalCurves(np.array([2.0]), np.array([[0.25]]))
    # S at time 2/3 is 0.75: a quarter of [0, 1] is above, so of 0.75 the upper half holds a third.
    counts = d_calibration([2 / 3], [0], curves, num_bins=2).counts
    assert counts == pytest.approx((2 / 3, 1 / 3))


@pytest.mark.parametrize("freedom", range(1, 12))
def test_chi_squared_tail(freedom: int) -> None:
    for statistic in (0.0, 0.3, 4.0, 25.0, 90.0):
        assert chi_squared_tail(statistic, freedom) == pytest.approx(stats.chi2.sf(statistic, freedom), rel=1e-10)
